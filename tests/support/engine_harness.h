#ifndef APIUM_TESTS_SUPPORT_ENGINE_HARNESS_H_
#define APIUM_TESTS_SUPPORT_ENGINE_HARNESS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/engine.h"
#include "tests/support/engine_driver.h"

namespace apium::broker {

// What a test says of a task; the rest has plain defaults. Retries are without
// jitter, so that times are exact.
struct SubmitOptions {
  std::string type = "job";
  std::string queue = "default";
  int priority = 100;
  std::optional<absl::Duration> delay;
  // From the harness's now; negative: in the past.
  std::optional<absl::Duration> eta;
  std::optional<absl::Duration> expire_after;
  RetryPolicy retry = {.jitter = 0};
  std::string data;
  std::vector<std::pair<std::string, std::string>> headers;  // sorted
  bool report_outcome = false;
  absl::Duration result_ttl = absl::ZeroDuration();
  std::string namespace_name = "default";
  std::string batch_id;
  std::optional<Unique> unique;
  std::string request_id;
  ResultMode result_mode = ResultMode::kKeep;
  DeliveryMode delivery_mode = DeliveryMode::kAtLeastOnce;
  std::optional<Placement> placement;
  SubmitCommand::Unsaid unsaid;
  std::string exchange;  // instead of `queue`
  std::string routing_key;
};

struct WorkerOptions {
  std::vector<std::string> types = {"job"};
  std::vector<std::string> queues = {"default"};
  uint32_t slots = 8;
  std::string namespace_name = "default";
  std::vector<uint32_t> queue_weights;  // empty: all are 1
  Placement::Labels labels;
};

struct FailOptions {
  std::string type = "Boom";
  std::string message;
  bool non_retryable = false;
};

// An engine with a clock that stands still and everything around it, for tests
// that read like a story:
//
//   EngineHarness h;
//   h.Submit("a");
//   h.Credit("w1", 1);
//   EXPECT_EQ(h.Delivered("w1"), "a#1");
//   EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
//   EXPECT_EQ(h.State("a"), "SUCCEEDED");
//
// Each call is a turn, synced and released at once, followed by the turns that
// the engine asks for at the same time. Answers are texts: "OK", an error as
// "NOT_FOUND/QUEUE_NOT_FOUND", a task as its state. An error of the engine
// itself, and a gap in the outbox, fail the test.
class EngineHarness {
 public:
  explicit EngineHarness(const EngineOptions& options = {});
  ~EngineHarness();
  EngineHarness(const EngineHarness&) = delete;
  EngineHarness& operator=(const EngineHarness&) = delete;

  // --- Submitters and readers ---

  // An empty `id` lets the engine mint one: see last_task_id().
  std::string Submit(std::string_view id, const SubmitOptions& options = {});
  std::string Cancel(std::string_view id, std::string_view reason = "because");
  // What the last Cancel did: "REQUESTED".
  std::string last_cancel_result() const;
  std::string CancelMany(CancelTasksCommand cancel);
  std::string Update(std::string_view id, UpdateTaskCommand update);
  // As "default: queued=2 succeeded=1", without those that are 0.
  std::string Count(const std::string& queue = "");
  // State name; "FINISHED" or "UNKNOWN" where the result service is to be
  // asked.
  std::string State(std::string_view id);
  TaskSnapshot Task(std::string_view id);
  // What happened to the task, as "RETRIED#1 CRASHED#2" (event#attempt).
  std::string Events(std::string_view id);
  // Calls that are answered later. Give the number to Answers or Forget.
  int Wait(std::string_view id,
           absl::Duration timeout = absl::InfiniteDuration());
  int Watch(std::string_view id);
  // What the call was answered since it was last asked, separated by spaces.
  std::string Answers(int call);
  void Forget(int call);
  // Number of the last call, whatever it was; 0 is the first.
  int last_call() const { return static_cast<int>(calls_.size()) - 1; }
  const std::string& last_task_id() const { return last_task_id_; }
  // The last SubmitReply.
  const SubmitReply& last_submit() const { return last_submit_; }
  // Ids of all live tasks in the engine's order, page by page, the pages
  // separated by " | ".
  std::string List(ListTasksCommand filter = {});

  // --- Workers. Each is connected with default options at its first Credit.
  // ---

  std::string Connect(const std::string& worker,
                      const WorkerOptions& options = {});
  void Credit(const std::string& worker, uint32_t credit);
  void Heartbeat(const std::string& worker) { Credit(worker, 0); }
  // Deliveries since the last call, as "a#1 b#2" (task#attempt).
  std::string Delivered(const std::string& worker);
  // Everything else that was pushed since the last call, separated by ", ":
  // "ack a#1", "refused a#1 FAILED_PRECONDITION/LEASE_LOST", "cancel a#1",
  // "drain", "opened", "resumed", "resumed lost a#1", "closed CODE/REASON",
  // "chunks a#1 2", "chunks a#1 3 RESOURCE_EXHAUSTED/CHUNK_LIMIT".
  std::string Told(const std::string& worker);
  // Reports about the last delivery of the task to this worker. Each returns
  // Told().
  std::string Start(const std::string& worker, const std::string& id);
  std::string Succeed(const std::string& worker, const std::string& id,
                      const std::string& result = "");
  std::string Fail(const std::string& worker, const std::string& id,
                   const FailOptions& options = {});
  std::string Retry(const std::string& worker, const std::string& id,
                    absl::Duration delay);
  std::string Return(const std::string& worker, const std::string& id);
  // Handed back with a delay of the worker's own.
  std::string ReturnFor(const std::string& worker, const std::string& id,
                        absl::Duration delay);
  // The process that ran the task died; the worker lives.
  std::string Crash(const std::string& worker, const std::string& id,
                    const std::string& message = "killed by signal 11");
  std::string ObeyCancel(const std::string& worker, const std::string& id);
  std::string ReportProgress(const std::string& worker, const std::string& id,
                             const Progress& progress);
  std::string Report(const std::string& worker, WorkerReportCommand report);
  // The worker's machine is gone: its session ends with the grace period.
  void Lose(const std::string& worker);
  // Last delivery of the task to this worker.
  LeaseName Lease(const std::string& worker, const std::string& id);
  // The worker says that it takes no more.
  std::string SayDraining(const std::string& worker);
  void Disconnect(const std::string& worker);
  // Resumes the session with all leases that the worker has not seen end, or
  // with those of `ids` alone (the other deliveries never arrived).
  std::string Reconnect(const std::string& worker);
  std::string ReconnectHolding(const std::string& worker,
                               const std::vector<std::string>& ids);
  std::string Drain(const std::string& worker);
  // As "w1 connected credit=1 leases=0; w2 detached draining ...".
  std::string Workers();

  // --- Queues ---

  std::string CreateQueue(const std::string& queue,
                          const QueueSettings& settings = {});
  std::string UpdateQueue(UpdateQueueCommand update);
  std::string Pause(const std::string& queue);
  std::string Resume(const std::string& queue);
  std::string DeleteQueue(const std::string& queue);
  std::string Purge(const std::string& queue);
  // Ids, in order.
  std::string Peek(const std::string& queue = "default",
                   uint32_t max_tasks = 10);
  std::string ReleaseKey(const std::string& ordering_key,
                         const std::string& queue = "default");
  // As "ready=2 scheduled=1 leased=0", or the error.
  std::string Queue(const std::string& queue = "default");
  QueueInfo QueueDetails(const std::string& queue = "default");

  // --- Time, faults, and what came out ---

  absl::Time now() const { return driver_.now(); }
  // Goes on by `step` and stops for a turn whenever the engine asks for one.
  void Advance(absl::Duration step);
  // Goes on by `step` in one jump.
  void Jump(absl::Duration step);
  // Runs `calls` as one turn. Their return values say nothing.
  void InOneTurn(const std::function<void()>& calls);
  // Runs `calls` without the turns that the engine asks for after each, then
  // those.
  void WithoutSettling(const std::function<void()>& calls);
  // From here on turns are written but not synced, until Release or Crash.
  // Return values of calls say nothing meanwhile.
  void HoldTurns() { holding_ = true; }
  void Release();
  // Sessions' streams break in both. Crash loses all held turns but the first
  // `surviving_turns`.
  void Restart();
  void Crash(size_t surviving_turns = 0);

  // Released outbox rows: "1: a SUCCEEDED; 2: b FAILED, c EXPIRED".
  std::string Outbox() const;
  void ConfirmOutbox(uint64_t position);
  // The one released outcome of a task.
  Outcome OutcomeOf(std::string_view id) const;
  EngineStats Stats();
  QueueStats StatsOf(const std::string& queue = "default");
  // Everything that the engine decided, a line each, writes included.
  const std::string& Trace() const { return trace_; }

  // Sends any command that carries a ReplyAddress; returns its call number.
  template <typename CommandType>
  int Send(CommandType command);
  // Sends such a command and returns its one answer.
  template <typename ReplyType, typename CommandType>
  ReplyType Ask(CommandType command) {
    return AnswerOf<ReplyType>(Send(std::move(command)));
  }
  // Applies a command without an answer.
  void Post(Command command);
  EngineDriver& driver() { return driver_; }

 private:
  class CallSink;
  class WorkerStream;
  struct Worker;

  // Where answers to the next call go.
  ReplyAddress NewCall();
  // The one answer of a call that has just been made, if it is there.
  template <typename ReplyType>
  ReplyType AnswerOf(int call) const;
  // Null: there is none, as is right in the middle of a turn.
  const Reply* FirstReply(int call) const;
  static void FailForWrongReply();
  std::string TakeFirstAnswer(int call);
  void RunTurn(std::vector<Command> commands);
  void Settle();
  void AfterRecovery();
  Worker& WorkerNamed(const std::string& worker);
  std::string OpenSession(const std::string& worker,
                          std::vector<LeaseName> held);
  std::string ReportOutcome(const std::string& worker, ExecutionReport report);
  std::string LabelOf(uint64_t epoch) const;
  void OnPush(Worker* worker, const WorkerPush& push);

  EngineDriver driver_;
  std::vector<std::shared_ptr<CallSink>> calls_;
  std::map<std::string, std::unique_ptr<Worker>> workers_;
  std::map<uint64_t, std::string> labels_;  // epoch to "a#1"
  std::vector<Command> batched_;
  bool batching_ = false;
  bool settling_ = true;
  bool holding_ = false;
  std::string last_task_id_;
  SubmitReply last_submit_;
  CancelResult last_cancel_ = CancelResult::kNotFound;
  uint64_t last_outbox_position_ = 0;  // of all turns, released or not
  std::string trace_;
};

template <typename CommandType>
int EngineHarness::Send(CommandType command) {
  command.reply = NewCall();
  Post(std::move(command));
  return last_call();
}

template <typename ReplyType>
ReplyType EngineHarness::AnswerOf(int call) const {
  const Reply* reply = FirstReply(call);
  if (reply == nullptr) return {};
  const auto* answer = std::get_if<ReplyType>(&reply->body);
  if (answer != nullptr) return *answer;
  FailForWrongReply();
  return {};
}

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_ENGINE_HARNESS_H_
