#include "broker/engine/lane_class.h"

namespace apium::broker {
namespace {

bool HasClass(const TaskContent& content) {
  const Placement* placement = content.placement.get();
  return placement != nullptr &&
         !(placement->fairness_key.empty() && placement->limit_keys.empty() &&
           placement->required_labels.empty());
}

void AddLabels(const Placement::Labels& labels, FingerprintBuilder* builder) {
  builder->AddUint64(labels.size());
  for (const auto& [name, value] : labels) {
    builder->AddBytes(name).AddBytes(value);
  }
}

}  // namespace

Fingerprint LaneClassId(const TaskContent& content) {
  if (!HasClass(content)) return {};
  FingerprintBuilder builder;
  builder.AddBytes(content.placement->fairness_key);
  AddLabels(content.placement->limit_keys, &builder);
  AddLabels(content.placement->required_labels, &builder);
  return builder.Finish();
}

std::shared_ptr<const Placement> LaneClassOf(const TaskContent& content) {
  if (!HasClass(content)) return nullptr;
  const Placement& placement = *content.placement;
  auto lane_class = std::make_shared<Placement>();
  lane_class->fairness_key = placement.fairness_key;
  lane_class->limit_keys = placement.limit_keys;
  lane_class->required_labels = placement.required_labels;
  return lane_class;
}

}  // namespace apium::broker
