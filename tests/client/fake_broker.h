// A broker that lives in the test: the services that clients call, in memory,
// with errors on request.

#ifndef APIUM_TESTS_CLIENT_FAKE_BROKER_H_
#define APIUM_TESTS_CLIENT_FAKE_BROKER_H_

#include <grpcpp/server.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/queue_service.grpc.pb.h"
#include "apium/v1/result_service.grpc.pb.h"
#include "apium/v1/server_service.grpc.pb.h"
#include "apium/v1/task_service.grpc.pb.h"
#include "apium/v1/worker_service.grpc.pb.h"
#include "client/client_options.h"

namespace apium {

// Any thread.
class FakeBroker {
 public:
  FakeBroker();
  ~FakeBroker();

  const std::string& address() const { return address_; }
  // Of a client that retries without delay worth waiting for, and has a minute
  // for everything.
  ClientOptions ClientOptionsForTest() const;

  // The next `count` calls of `method` ("SubmitTask") fail with `status` and
  // change nothing.
  void FailNext(std::string_view method, int count, absl::Status status);
  // The next `count` calls of `method` are carried out, but answered with
  // UNAVAILABLE.
  void LoseAnswers(std::string_view method, int count);
  // Calls of `method` so far, failed ones included.
  int calls(std::string_view method) const;
  // Metadata "user-agent" of the last call of a task method.
  std::string last_user_agent() const;

  // Tasks by id.
  std::vector<v1::Task> tasks() const;
  // Every task that was asked for, repetitions included, in the order of
  // arrival on streams.
  std::vector<std::string> streamed_ids() const;
  void FinishTask(const std::string& task_id, v1::TaskState state,
                  std::string_view result_json);
  // Every task finishes as SUCCEEDED with result `true` as soon as it is
  // accepted.
  void FinishTasksAtOnce();

  // Streams opened from now on get this window.
  void SetWindow(uint32_t window);
  // Accepted tasks are not answered until false. Tasks are read all the same.
  void HoldAnswers(bool hold);
  // Tasks are read from streams and forgotten, as by a broker that crashes
  // before its commit.
  void ForgetTasks(bool forget);
  // Submits are answered as attached to this task; empty: no longer.
  void AttachTo(std::string task_id) {
    absl::MutexLock lock(&mu_);
    attach_to_ = std::move(task_id);
  }
  // The last one of SubmitTask.
  v1::SubmitTaskRequest last_submit() const {
    absl::MutexLock lock(&mu_);
    return last_submit_;
  }
  // Refuses tasks of this type with NOT_FOUND / QUEUE_NOT_FOUND.
  void RefuseType(std::string type);
  // Ends the open streams.
  void BreakStreams(absl::Status status);
  // Answers of StreamTasks whose sequence is wrong.
  void AnswerWrongSequence();
  size_t open_streams() const;
  // Number of tasks in each StreamBatch so far.
  std::vector<int> batch_sizes() const;
  // Waits until at least `count` tasks came over streams.
  void AwaitStreamed(size_t count) const;

  // What FollowTask sends of the task.
  void AddChunk(const std::string& task_id, const std::string& data);

  // What holds up a task, or the tasks of a queue, by its id or name.
  void AddReason(const std::string& name, v1::WaitReason reason);
  // Submits are answered with these ids of copies, too.
  void AnswerWithCopies(std::vector<std::string> ids);
  // So that it can be released, once.
  void BlockOrderingKey(const std::string& queue, const std::string& key);

  // Workers and queues that the admin calls show.
  void AddWorker(v1::Worker worker);
  void AddQueue(v1::Queue queue);
  std::vector<std::string> drained_workers() const;
  // What ResultService.WatchResults sends to streams that are opened; each of
  // them ends after `watch_breaks_after` messages with UNAVAILABLE, if that is
  // not 0.
  void AddResult(v1::TaskOutcome outcome);
  void BreakWatchesAfter(int messages);
  std::vector<std::string> watch_cursors() const;
  // What the health service says of the process, and of everything.
  void SetServing(bool serving);

 private:
  class Tasks;
  class Stream;
  class Queues;
  class Workers;
  class Results;
  class Info;

  // Counts the call; the error that was asked for.
  absl::Status Enter(std::string_view method) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status LostAnswer(std::string_view method) ABSL_LOCKS_EXCLUDED(mu_);
  // OK: the task is there, now or already.
  absl::Status Accept(v1::TaskSpec spec) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  absl::CondVar changed_;
  std::map<std::string, std::deque<absl::Status>, std::less<>> failures_
      ABSL_GUARDED_BY(mu_);
  std::map<std::string, int, std::less<>> lost_answers_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int, std::less<>> calls_ ABSL_GUARDED_BY(mu_);
  std::string user_agent_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::Task> tasks_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> specs_
      ABSL_GUARDED_BY(mu_);  // as serialized
  std::vector<std::string> streamed_ids_ ABSL_GUARDED_BY(mu_);
  std::vector<int> batch_sizes_ ABSL_GUARDED_BY(mu_);
  std::set<std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> refused_types_ ABSL_GUARDED_BY(mu_);
  std::string attach_to_ ABSL_GUARDED_BY(mu_);
  v1::SubmitTaskRequest last_submit_ ABSL_GUARDED_BY(mu_);
  uint32_t window_ ABSL_GUARDED_BY(mu_) = 100'000;
  bool hold_answers_ ABSL_GUARDED_BY(mu_) = false;
  bool forget_tasks_ ABSL_GUARDED_BY(mu_) = false;
  bool finish_at_once_ ABSL_GUARDED_BY(mu_) = false;
  bool wrong_sequence_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::vector<v1::TaskChunk>> chunks_
      ABSL_GUARDED_BY(mu_);
  std::map<std::string, v1::Queue> queues_ ABSL_GUARDED_BY(mu_);
  int etags_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::string, std::vector<v1::WaitReason>> reasons_
      ABSL_GUARDED_BY(mu_);
  std::vector<std::string> copies_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<std::string, std::string>> blocked_keys_
      ABSL_GUARDED_BY(mu_);
  std::vector<v1::Worker> workers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> drained_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::TaskOutcome> results_ ABSL_GUARDED_BY(mu_);
  int watch_breaks_after_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::string> watch_cursors_ ABSL_GUARDED_BY(mu_);

  std::unique_ptr<Tasks> task_service_;
  std::unique_ptr<Queues> queue_service_;
  std::unique_ptr<Workers> worker_service_;
  std::unique_ptr<Results> result_service_;
  std::unique_ptr<Info> info_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace apium

#endif  // APIUM_TESTS_CLIENT_FAKE_BROKER_H_
