#ifndef APIUM_BROKER_SERVICE_RESULT_READER_H_
#define APIUM_BROKER_SERVICE_RESULT_READER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace apium::v1 {
class ListResultsRequest;
class ListResultsResponse;
class TaskOutcome;
}  // namespace apium::v1

namespace apium::broker {

// Reads finished tasks from the result service, for answers that the broker no
// longer has, and has them forgotten. Any thread; the callbacks run on a thread
// of gRPC's and must not block. Errors: NOT_FOUND, and UNAVAILABLE /
// RESULTS_UNAVAILABLE whenever the result service did not answer.
class ResultReader {
 public:
  using GetDone = std::function<void(absl::StatusOr<v1::TaskOutcome>)>;
  using ForgetDone = std::function<void(const absl::Status&)>;
  using ListDone = std::function<void(absl::StatusOr<v1::ListResultsResponse>)>;

  virtual ~ResultReader() = default;
  virtual void Get(const std::string& namespace_name,
                   const std::string& task_id, absl::Time deadline,
                   GetDone done) = 0;
  virtual void List(const v1::ListResultsRequest& request, absl::Time deadline,
                    ListDone done) = 0;
  // Deletes an outcome there.
  virtual void Forget(const std::string& namespace_name,
                      const std::string& task_id, absl::Time deadline,
                      ForgetDone done) = 0;
};

// Over `channel`. Calls outlive the reader.
std::unique_ptr<ResultReader> MakeGrpcResultReader(
    std::shared_ptr<grpc::Channel> channel);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_RESULT_READER_H_
