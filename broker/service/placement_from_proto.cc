#include "broker/service/placement_from_proto.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apium/v1/task.pb.h"
#include "broker/service/field_checks.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// As documented in apium/v1/task.proto.
constexpr size_t kLabelsMax = 16;
constexpr size_t kLabelValueBytesMax = 255;
constexpr size_t kLimitKeysMax = 8;

using ProtoMap = google::protobuf::Map<std::string, std::string>;

struct MapBounds {
  size_t entries_max = 0;
  size_t value_bytes_min = 0;
  size_t value_bytes_max = 0;
};

absl::Status TakeMap(const char* field, const MapBounds& bounds,
                     ProtoMap* proto, Placement::Labels* labels) {
  if (proto->size() > bounds.entries_max) {
    return OutOfRange(field, StrCat(proto->size(), " long"),
                      StrCat("at most ", bounds.entries_max, " entries"));
  }
  for (auto& [name, value] : *proto) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName(field, name));
    const bool fits = value.size() >= bounds.value_bytes_min &&
                      value.size() <= bounds.value_bytes_max &&
                      value.find('\0') == std::string::npos;
    if (!fits) {
      return OutOfRange(
          StrCat(field, "[", name, "]"), StrCat(value.size(), " bytes"),
          StrCat(bounds.value_bytes_min, " to ", bounds.value_bytes_max,
                 " bytes without a zero byte"));
    }
    labels->emplace_back(name, std::move(value));
  }
  std::sort(labels->begin(), labels->end());
  return absl::OkStatus();
}

absl::Status TakeFairness(v1::TaskSpec* spec, Placement* placement) {
  APIUM_RETURN_IF_ERROR(CheckKey("spec.fairness_key", spec->fairness_key()));
  placement->fairness_key = std::move(*spec->mutable_fairness_key());
  if (spec->fairness_weight() == 0) return absl::OkStatus();
  if (placement->fairness_key.empty()) {
    return InvalidField("spec.fairness_weight",
                        "is for a fairness_key; set that, too");
  }
  // Written so that NaN is refused.
  if (!(spec->fairness_weight() > 0 &&
        spec->fairness_weight() <= kFairnessWeightMax)) {
    return OutOfRange("spec.fairness_weight", StrCat(spec->fairness_weight()),
                      StrCat("0 or in (0, ", kFairnessWeightMax, "]"));
  }
  placement->fairness_weight = spec->fairness_weight();
  return absl::OkStatus();
}

absl::Status TakeOrdering(v1::TaskSpec* spec, Placement* placement) {
  APIUM_RETURN_IF_ERROR(CheckKey("spec.ordering_key", spec->ordering_key()));
  placement->ordering_key = std::move(*spec->mutable_ordering_key());
  const auto policy = spec->ordering_failure_policy();
  if (!v1::OrderingFailurePolicy_IsValid(policy)) {
    return OutOfRange("spec.ordering_failure_policy",
                      StrCat(static_cast<int>(policy)),
                      "a value of OrderingFailurePolicy");
  }
  if (policy == v1::ORDERING_FAILURE_POLICY_UNSPECIFIED)
    return absl::OkStatus();
  if (placement->ordering_key.empty()) {
    return InvalidField("spec.ordering_failure_policy",
                        "is for an ordering_key; set that, too");
  }
  placement->ordering_failure_policy =
      static_cast<OrderingFailurePolicy>(policy);
  return absl::OkStatus();
}

bool SaysNothing(const v1::TaskSpec& spec) {
  return spec.fairness_key().empty() && spec.fairness_weight() == 0 &&
         spec.ordering_key().empty() && spec.ordering_failure_policy() == 0 &&
         spec.required_labels().empty() && spec.preferred_labels().empty() &&
         spec.sticky_key().empty() && spec.limit_keys().empty();
}

}  // namespace

absl::Status PlacementFromProto(v1::TaskSpec* spec,
                                std::shared_ptr<const Placement>* placement) {
  if (SaysNothing(*spec)) return absl::OkStatus();
  auto taken = std::make_shared<Placement>();
  APIUM_RETURN_IF_ERROR(TakeFairness(spec, taken.get()));
  APIUM_RETURN_IF_ERROR(TakeOrdering(spec, taken.get()));
  const MapBounds label_bounds{.entries_max = kLabelsMax,
                               .value_bytes_max = kLabelValueBytesMax};
  APIUM_RETURN_IF_ERROR(TakeMap("spec.required_labels", label_bounds,
                                spec->mutable_required_labels(),
                                &taken->required_labels));
  APIUM_RETURN_IF_ERROR(TakeMap("spec.preferred_labels", label_bounds,
                                spec->mutable_preferred_labels(),
                                &taken->preferred_labels));
  APIUM_RETURN_IF_ERROR(CheckKey("spec.sticky_key", spec->sticky_key()));
  taken->sticky_key = std::move(*spec->mutable_sticky_key());
  APIUM_RETURN_IF_ERROR(TakeMap("spec.limit_keys",
                                {.entries_max = kLimitKeysMax,
                                 .value_bytes_min = 1,
                                 .value_bytes_max = kKeyBytesMax},
                                spec->mutable_limit_keys(),
                                &taken->limit_keys));
  *placement = std::move(taken);
  return absl::OkStatus();
}

}  // namespace apium::broker
