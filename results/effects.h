#ifndef APIUM_RESULTS_EFFECTS_H_
#define APIUM_RESULTS_EFFECTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "apium/v1/result_service.pb.h"
#include "results/command.h"
#include "storage/store_batch.h"

namespace apium::results {

// To a broker: everything up to `position` is durable.
struct Confirmation {
  CallId stream;
  uint64_t position = 0;
  // Messages of this stream, the hello included, that are dealt with since the
  // last confirmation: so many more may be in memory.
  size_t messages_done = 0;
};

// The answer to a unary call; each gets exactly one.
struct Reply {
  CallId call;
  absl::Status status;
  // If `status` is OK: an outcome for get and wait, a page for list, nothing
  // for forget.
  std::variant<std::monostate, v1::TaskOutcome, v1::ListResultsResponse> value;
};

struct WatchPush {
  CallId stream;
  v1::WatchResultsResponse message;
  size_t bytes = 0;  // given back with WatchTaken once sent
};

// The server ends a stream.
struct StreamEnd {
  CallId stream;
  absl::Status status;
};

// What the world must do after a group of commands. Everything but `writes` may
// be released only after `writes` of this group and of every earlier one are
// synced, and then group by group, in the order of the members. A reader
// therefore never sees what a crash could take back.
struct ResultEffects {
  StoreBatch writes;
  std::vector<Confirmation> confirmations;
  std::vector<Reply> replies;
  std::vector<WatchPush> pushes;
  std::vector<StreamEnd> ends;
  // Messages that the core is done with, to be parsed into again.
  std::vector<std::unique_ptr<v1::PublishOutcomesRequest>> spent;
  size_t outcomes_recorded = 0;

  bool NothingToRelease() const {
    return confirmations.empty() && replies.empty() && pushes.empty() &&
           ends.empty() && spent.empty();
  }
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_EFFECTS_H_
