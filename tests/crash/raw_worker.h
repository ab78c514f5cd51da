#ifndef APIUM_TESTS_CRASH_RAW_WORKER_H_
#define APIUM_TESTS_CRASH_RAW_WORKER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/worker_service.grpc.pb.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace apium::crash {

// A worker made by hand from the worker protocol, one slot wide: it says what
// it is told to, true or not. Blocks; one thread.
class RawWorker {
 public:
  struct Options {
    std::string broker_address;
    std::string worker_id;
    std::string queue;
    std::string type;
    // For each wait.
    absl::Duration timeout = absl::Minutes(1);
  };
  explicit RawWorker(Options options);
  ~RawWorker();

  // Opens a stream with a new session. None may be open.
  absl::Status Open();
  // Breaks the stream off without a word and waits until the broker knows.
  absl::Status Break();

  // Asks for a task and waits for it.
  absl::StatusOr<v1::Delivery> Take();
  // Reports a success and waits for the answer: OK if the broker accepted it,
  // else why it refused.
  absl::Status Succeed(const v1::Lease& lease, const std::string& result);

 private:
  using Stream = grpc::ClientReaderWriter<v1::WorkRequest, v1::WorkResponse>;

  absl::Status Write(const v1::WorkRequest& request);
  absl::StatusOr<v1::WorkResponse> Read();
  // Why the stream does not go on.
  absl::Status End();

  const Options options_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_RAW_WORKER_H_
