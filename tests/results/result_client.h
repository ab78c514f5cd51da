#ifndef APIUM_TESTS_RESULTS_RESULT_CLIENT_H_
#define APIUM_TESTS_RESULTS_RESULT_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/result_service.grpc.pb.h"

namespace apium::results {

// Long enough for a loaded machine; nothing waits for it to pass.
inline constexpr absl::Duration kTestDeadline = absl::Seconds(120);

// A SUCCEEDED outcome of task `id`, with result data "r-<id>".
v1::TaskOutcome MakeOutcome(const std::string& id);

// A broker's end of PublishOutcomes.
class PublishClient {
 public:
  explicit PublishClient(v1::ResultService::Stub* stub);
  ~PublishClient();

  bool Send(const v1::PublishOutcomesRequest& request);
  bool Hello(const std::string& shard_id);
  bool Publish(uint64_t position, const std::vector<v1::TaskOutcome>& outcomes);
  // The next confirmation; nothing when the stream has ended.
  std::optional<uint64_t> ReadConfirmation();
  // Reads until `position` is confirmed; false if the stream ends before.
  bool AwaitConfirmation(uint64_t position);
  void WritesDone() { stream_->WritesDone(); }
  absl::Status Finish();
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::PublishOutcomesRequest,
                                           v1::PublishOutcomesResponse>>
      stream_;
};

// A reader's end of WatchResults.
class WatchClient {
 public:
  WatchClient(v1::ResultService::Stub* stub,
              const v1::WatchResultsRequest& request);
  ~WatchClient();

  bool Read(v1::WatchResultsResponse* response) {
    return stream_->Read(response);
  }
  // Reads until `count` outcomes came, and gives their ids, or fewer if the
  // stream ends before. `cursor` becomes that of the last message.
  std::vector<std::string> ReadIds(size_t count);
  const std::string& cursor() const { return cursor_; }
  absl::Status Finish();

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchResultsResponse>> stream_;
  std::string cursor_;
};

// Calls with the deadline.
absl::StatusOr<v1::TaskOutcome> Get(v1::ResultService::Stub* stub,
                                    const std::string& id,
                                    const std::string& name_space = "");
absl::StatusOr<v1::ListResultsResponse> List(
    v1::ResultService::Stub* stub, const v1::ListResultsRequest& request);
absl::StatusOr<v1::TaskOutcome> Wait(v1::ResultService::Stub* stub,
                                     const v1::WaitResultRequest& request);
absl::Status Forget(v1::ResultService::Stub* stub, const std::string& id);

void SetDeadline(grpc::ClientContext* context);

}  // namespace apium::results

#endif  // APIUM_TESTS_RESULTS_RESULT_CLIENT_H_
