// Unique keys and ids of requests in the histories.

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {

std::shared_ptr<const RequestIdentity> EngineHistory::RandomRequest(
    uint64_t kind, uint64_t fingerprint) {
  if (!Chance(kind == 1 ? 10 : 40)) return nullptr;
  return std::make_shared<RequestIdentity>(
      RequestIdentity{.id = absl::StrCat("r", Below(10)),
                      .fingerprint = {.high = kind, .low = fingerprint}});
}

void EngineHistory::AddUnique(SubmitCommand* submit) {
  if (!Chance(unique_percent_)) return;
  Unique unique = {.key = absl::StrCat("k", Below(4)),
                   .scope = static_cast<UniqueScope>(1 + Below(3)),
                   .on_conflict = static_cast<UniqueConflict>(1 + Below(6))};
  if (unique.on_conflict == UniqueConflict::kDebounce)
    unique.scope = UniqueScope::kUntilStart;
  if (unique.on_conflict == UniqueConflict::kThrottle)
    unique.scope = UniqueScope::kWindow;
  if (unique.on_conflict == UniqueConflict::kKeepLatest)
    unique.scope = UniqueScope::kUntilEnd;
  if (unique.scope == UniqueScope::kWindow ||
      unique.on_conflict == UniqueConflict::kDebounce) {
    unique.window = absl::Microseconds(1 + Below(9'000'000));
    moments_.push_back(driver_.now() + unique.window);
  }
  submit->content->unique = std::make_shared<Unique>(std::move(unique));
}

}  // namespace apium::broker
