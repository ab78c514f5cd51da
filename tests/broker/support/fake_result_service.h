#ifndef APIUM_TESTS_BROKER_SUPPORT_FAKE_RESULT_SERVICE_H_
#define APIUM_TESTS_BROKER_SUPPORT_FAKE_RESULT_SERVICE_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "common/rpc/server.h"

namespace apium::broker {

// A result service that does as a test says: remembers what is published, and
// confirms it at once or when told.
class FakeResultService {
 public:
  FakeResultService();
  ~FakeResultService();

  std::shared_ptr<grpc::Channel> Channel();

  // Ends the service; calls are then UNAVAILABLE.
  void Stop();

  // What hello is answered with, and what is known.
  void SetRecorded(uint64_t position) ABSL_LOCKS_EXCLUDED(mu_);
  // From now on batches are recorded but not confirmed, or confirmed again.
  void SetConfirming(bool confirming) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the streams that are open with UNAVAILABLE.
  void BreakStreams() ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until this many batches came in all; their positions in order.
  std::vector<uint64_t> Positions(size_t count) ABSL_LOCKS_EXCLUDED(mu_);
  // Task ids of the outcomes that came, in order.
  std::vector<std::string> TaskIds() ABSL_LOCKS_EXCLUDED(mu_);
  // Shard ids of the streams that were opened.
  std::vector<std::string> Hellos(size_t count) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Service;

  template <typename Predicate>
  void Await(Predicate predicate) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  std::vector<std::string> hellos_ ABSL_GUARDED_BY(mu_);
  std::vector<uint64_t> positions_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> task_ids_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::TaskOutcome> outcomes_ ABSL_GUARDED_BY(mu_);
  uint64_t recorded_ ABSL_GUARDED_BY(mu_) = 0;
  bool confirming_ ABSL_GUARDED_BY(mu_) = true;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;  // of streams

  std::unique_ptr<Service> service_;
  std::string target_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_BROKER_SUPPORT_FAKE_RESULT_SERVICE_H_
