// Circuit breakers in random histories.

#include <utility>

#include "tests/simulation/engine_history.h"

namespace apium::broker {

void EngineHistory::AddBreakerCommand() {
  const std::string type = RandomType();
  switch (Below(10)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      constexpr double kShares[] = {0.25, 0.5, 0.7, 1};
      SetBreakerCommand set = {
          .reply = NewCall(), .namespace_name = "default", .type = type};
      if (Chance(85)) {
        set.settings = BreakerSettings{
            .failure_share = kShares[Below(4)],
            .min_attempts = static_cast<uint32_t>(1 + Below(4)),
            .window = absl::Milliseconds(1000 + 10 * Below(3000)),
            .open_duration = absl::Milliseconds(1000 + Below(4000))};
      }
      Add(std::move(set));
      return;
    }
    case 4:
    case 5:
    case 6:
      Add(GetBreakerCommand{
          .reply = NewCall(), .namespace_name = "default", .type = type});
      return;
    case 7:
      Add(ResetBreakerCommand{
          .reply = NewCall(), .namespace_name = "default", .type = type});
      return;
    default:
      Add(ListBreakersCommand{.reply = NewCall(), .namespace_name = "default"});
  }
}

}  // namespace apium::broker
