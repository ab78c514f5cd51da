// Workers that report details and append chunks.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {

// What is not acknowledged is sent again; now and then something else is sent,
// which a worker that keeps to the protocol would not.
void EngineHistory::AddStream(const LeaseName& lease, uint64_t acknowledged,
                              WorkerReportCommand* report) {
  if (Chance(20)) {
    Progress progress = {.completed = 1};
    if (Chance(60)) {
      progress.details = std::make_shared<const Payload>(
          Payload{.data = absl::StrCat("d", Below(1000))});
    }
    report->progress.push_back({lease, std::move(progress)});
  }
  if (!Chance(30)) return;
  uint64_t number = acknowledged + 1;
  if (Chance(10) && acknowledged > 0) --number;
  if (Chance(3)) ++number;
  for (uint64_t count = 1 + Below(3); count > 0; --count, ++number) {
    // The same whenever it is sent.
    std::string data = absl::StrCat(lease.epoch % 100, ".", number);
    if (Chance(1)) data.resize(20, 'x');
    report->chunks.push_back(
        {.lease = lease, .number = number, .payload = {.data = data}});
  }
}

// The chunks of ended tasks are deleted in time.
void EngineHistory::OutliveChunks() {
  for (int round = 0; !failed() && round < 100; ++round) {
    driver_.set_now(driver_.now() + absl::Seconds(10));
    Settle();
  }
}

}  // namespace apium::broker
