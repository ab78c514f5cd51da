// What can be asked of ResultCore. The service has validated each command's
// form; what depends on what is stored is decided in the core.

#ifndef APIUM_RESULTS_COMMAND_H_
#define APIUM_RESULTS_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "apium/v1/result_service.pb.h"
#include "results/result_filter.h"

namespace apium::results {

// Names a call: given out by the service, never twice in a process.
enum class CallId : uint64_t {};

// `now` of a group of commands, read once.
struct ResultNow {
  absl::Time wall;           // for expiry
  absl::Duration monotonic;  // for the time-outs of waits
};

// A broker's stream begins: `hello`.
struct PublishBegin {
  CallId stream;
  std::string shard_id;
};
// A message behind the hello that holds a batch.
struct PublishBatch {
  CallId stream;
  std::unique_ptr<v1::PublishOutcomesRequest> message;  // has `batch`
  size_t bytes = 0;                                     // of the message
};
struct PublishEnd {
  CallId stream;
};

struct GetResult {
  CallId call;
  std::string name_space;
  std::string task_id;
};

struct WaitResult {
  CallId call;
  std::string name_space;
  std::string task_id;
  absl::Duration timeout;  // may be infinite
};
// The caller of a WaitResult went away. Answered CANCELLED if it still waited.
struct CancelWait {
  CallId call;
};

struct ListResults {
  CallId call;
  std::string name_space;
  ResultFilter filter;
  std::string page_token;  // as the client sent it
  size_t page_size = 0;    // in [1, kPageSizeMax]
  bool with_data = false;  // TASK_VIEW_FULL
};

struct ForgetResult {
  CallId call;
  std::string name_space;
  std::string task_id;
};

struct WatchBegin {
  CallId stream;
  std::string name_space;
  std::string after_cursor;  // as the client sent it
  ResultFilter filter;
  bool with_data = true;
};
// The client has taken pushes of this many bytes (WatchPush::bytes, summed).
struct WatchTaken {
  CallId stream;
  size_t bytes = 0;
};
struct WatchEnd {
  CallId stream;
};

using ResultCommand =
    std::variant<PublishBegin, PublishBatch, PublishEnd, GetResult, WaitResult,
                 CancelWait, ListResults, ForgetResult, WatchBegin, WatchTaken,
                 WatchEnd>;

}  // namespace apium::results

#endif  // APIUM_RESULTS_COMMAND_H_
