// A broker for tests of workers: a real gRPC server whose side of each stream
// is played by the test.

#ifndef APIUM_TESTS_WORKER_FAKE_BROKER_H_
#define APIUM_TESTS_WORKER_FAKE_BROKER_H_

#include <grpcpp/server.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "apium/v1/worker_service.grpc.pb.h"

namespace apium {

// How long tests wait for what must come: long, for slow machines.
inline constexpr absl::Duration kTestPatience = absl::Seconds(90);

// What a worker has said on one stream so far.
struct StreamLog {
  int reports = 0;
  int heartbeats = 0;
  uint64_t credit = 0;  // sum of the grants
  bool draining = false;
  bool half_closed = false;  // the worker has said all
  bool over = false;         // the stream has ended
  std::map<uint64_t, v1::TaskStarted> started;
  std::map<uint64_t, v1::Progress> progress;
  // By epoch and limit: their sum, of those that came before the outcome.
  std::map<std::pair<uint64_t, std::string>, double> charges;
  std::map<uint64_t, v1::ExecutionOutcome> outcomes;
  std::map<uint64_t, int> outcome_count;
  std::map<uint64_t, v1::ControlReply> control_replies;
};

// The broker's side of one stream. Any thread.
class FakeStream {
 public:
  class Reactor;
  explicit FakeStream(Reactor* reactor) : reactor_(reactor) {}

  // Of the worker; waited for by FakeBroker::NextStream.
  v1::Hello hello() ABSL_LOCKS_EXCLUDED(mu_);

  void Send(v1::WorkResponse response) ABSL_LOCKS_EXCLUDED(mu_);
  // A Welcome with large bounds and rare heartbeats.
  void Welcome(const std::string& session_id,
               std::function<void(v1::Welcome*)> change = nullptr);
  void Push(const std::function<void(v1::BrokerPush*)>& fill);
  // Delivers a task per epoch.
  void Deliver(const std::vector<uint64_t>& epochs, const std::string& type,
               const std::string& json = "",
               const std::function<void(v1::TaskSpec*)>& change = nullptr);
  void Acknowledge(const std::vector<uint64_t>& epochs);
  void Cancel(uint64_t epoch, const std::string& reason);

  // Ends the stream, once what was sent before is out.
  void End(grpc::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until what the worker said satisfies `condition`; false if it does
  // not within kTestPatience or the stream ends before.
  bool Await(const std::function<bool(const StreamLog&)>& condition)
      ABSL_LOCKS_EXCLUDED(mu_);
  StreamLog log() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class Reactor;

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  absl::Mutex mu_;
  Reactor* reactor_ ABSL_GUARDED_BY(mu_);  // null: over
  bool greeted_ ABSL_GUARDED_BY(mu_) = false;
  v1::Hello hello_ ABSL_GUARDED_BY(mu_);
  StreamLog log_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::WorkResponse> outbound_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status end_status_ ABSL_GUARDED_BY(mu_);
};

class FakeBroker {
 public:
  FakeBroker();
  ~FakeBroker();

  std::string target() const;
  // The next stream that a worker opened and said Hello on; null if none comes
  // within kTestPatience.
  std::shared_ptr<FakeStream> NextStream();
  // Calls of Work so far.
  int streams_opened();

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// Payload form of the SDKs.
v1::Payload JsonArguments(const std::string& json);

}  // namespace apium

#endif  // APIUM_TESTS_WORKER_FAKE_BROKER_H_
