// Outcomes of finished tasks, read at the result service.

#ifndef APIUM_CLIENT_RESULT_CLIENT_H_
#define APIUM_CLIENT_RESULT_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"

namespace apium {

class Connection;

struct ResultWatchOptions {
  // Go on behind this cursor. Empty: from now on. "0": from the oldest result
  // that is kept.
  std::string after_cursor;
  v1::ResultFilter filter;
  v1::TaskView view = v1::TASK_VIEW_UNSPECIFIED;
};

// What readers call of ResultService in apium/v1/result_service.proto, whose
// errors these are. Any thread. Functions block, but for WatchAsync, whose
// callbacks run on threads of gRPC's and must neither block nor destroy the
// client.
class ResultClient {
 public:
  // `connection` leads to the result service.
  explicit ResultClient(std::shared_ptr<Connection> connection);
  // Watches end with CANCELLED; returns when their callbacks have returned.
  ~ResultClient();

  // NOT_FOUND / RESULT_NOT_FOUND: not finished, unknown, forgotten, or expired.
  absl::StatusOr<v1::TaskOutcome> Get(std::string_view task_id);
  // DEADLINE_EXCEEDED / WAIT_TIMEOUT: no outcome within `timeout`.
  absl::StatusOr<v1::TaskOutcome> Wait(
      std::string_view task_id,
      absl::Duration timeout = absl::InfiniteDuration());
  // One page. The namespace is filled in.
  absl::StatusOr<v1::ListResultsResponse> List(v1::ListResultsRequest request);
  // Deletes an outcome before its time. Not retried: NOT_FOUND could mean the
  // attempt before.
  absl::Status Forget(std::string_view task_id);

  // Outcomes as they become durable, each once, until `on_outcomes` returns
  // false. The first message has none and says that the watch has begun; keep
  // the cursor of the last message to go on later. A watch that breaks goes on
  // behind its last message. OUT_OF_RANGE / CURSOR_EXPIRED: what followed the
  // cursor is no longer kept.
  absl::Status Watch(
      ResultWatchOptions options,
      absl::FunctionRef<bool(const v1::WatchResultsResponse&)> on_outcomes);
  void WatchAsync(
      ResultWatchOptions options,
      std::function<bool(const v1::WatchResultsResponse&)> on_outcomes,
      std::function<void(absl::Status)> done);

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_RESULT_CLIENT_H_
