// Tenants, labels and limits in random histories.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {
namespace {

struct NamedLimit {
  const char* name;
  LimitPartition partition;
  bool has_rate;
};
constexpr NamedLimit kLimits[] = {
    {"all", LimitPartition::kNone, false},
    {"customer", LimitPartition::kKey, false},
    {"tenant", LimitPartition::kFairnessKey, false},
    {"rate", LimitPartition::kType, true},
    {"queue", LimitPartition::kQueue, true}};

}  // namespace

void EngineHistory::AddPlacement(TaskContent* content) {
  if (!Chance(static_cast<int>(placement_percent_))) return;
  auto placement = std::make_shared<Placement>();
  if (content->placement != nullptr) *placement = *content->placement;
  if (Chance(50)) placement->fairness_key = Chance(50) ? "big" : "small";
  if (!placement->fairness_key.empty() && Chance(30))
    placement->fairness_weight = 3;
  if (Chance(40))
    placement->limit_keys = {{"customer", absl::StrCat(Below(3))}};
  if (Chance(20)) placement->required_labels = {{"gpu", "yes"}};
  if (Chance(20)) placement->preferred_labels = {{"disk", "fast"}};
  if (Chance(20)) placement->sticky_key = absl::StrCat("s", Below(3));
  content->placement = std::move(placement);
}

Placement::Labels EngineHistory::RandomLabels() {
  Placement::Labels labels;
  if (Chance(30)) labels.push_back({"disk", "fast"});
  if (Chance(60)) labels.push_back({"gpu", "yes"});
  return labels;
}

void EngineHistory::AddLimitCommand() {
  const NamedLimit& limit = kLimits[Below(5)];
  switch (Below(10)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      CreateLimitCommand create = {.reply = NewCall(),
                                   .namespace_name = "default"};
      create.limit = {.name = limit.name, .partition = limit.partition};
      if (limit.partition == LimitPartition::kKey)
        create.limit.key = "customer";
      LimitSettings& settings = create.limit.settings;
      if (Chance(20)) settings.type_pattern = RandomType();
      if (Chance(20)) settings.queue_pattern = RandomQueue();
      if (limit.has_rate) {
        const double burst = static_cast<double>(1 + Below(4));
        settings.rate = Rate{.points = static_cast<double>(1 + Below(3)),
                             .period = absl::Seconds(1 + Below(3)),
                             .burst = burst,
                             .cost = Chance(70) ? 1 : burst};
      } else {
        settings.max_concurrency = static_cast<uint32_t>(1 + Below(3));
      }
      Add(std::move(create));
      return;
    }
    case 4:
    case 5:
      Add(UpdateLimitCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .name = limit.name,
          .max_concurrency = static_cast<uint32_t>(1 + Below(4))});
      return;
    case 6: {
      UpdateLimitCommand update = {
          .reply = NewCall(), .namespace_name = "default", .name = limit.name};
      update.disabled = Chance(50);
      Add(std::move(update));
      return;
    }
    case 7:
      Add(DeleteLimitCommand{
          .reply = NewCall(), .namespace_name = "default", .name = limit.name});
      return;
    case 8:
      Add(GetLimitCommand{
          .reply = NewCall(), .namespace_name = "default", .name = limit.name});
      return;
    default:
      Add(PauseLimitKeyCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .limit = "customer",
          .key = absl::StrCat(Below(3)),
          .duration = absl::Milliseconds(Below(3) * Below(3000))});
  }
}

void EngineHistory::AddCharges(const LeaseName& lease,
                               WorkerReportCommand* report) {
  if (!Chance(10)) return;
  constexpr double kPoints[] = {-1, 0.5, 1, 2.5};
  report->charges.push_back({.lease = lease,
                             .limit = kLimits[Below(5)].name,
                             .points = kPoints[Below(4)]});
}

void EngineHistory::DeleteLimits() {
  for (const NamedLimit& limit : kLimits) {
    Add(DeleteLimitCommand{
        .reply = NewCall(), .namespace_name = "default", .name = limit.name});
  }
}

}  // namespace apium::broker
