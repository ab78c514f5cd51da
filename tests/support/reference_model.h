#ifndef APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_
#define APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/engine.h"
#include "broker/storage/batch_codec.h"

namespace apium::broker {

// What an engine must do, said plainly: a map of tasks and obvious rules, no
// windows, no rows, no disk. It is given each turn's commands and the effects
// that the engine made of them, works out what should have happened, and notes
// every difference. What the engine is free to choose (which worker gets a
// task, ids, epochs) is taken over from the effects after it has been checked:
// no delivery without credit, before the ETA, after the expiry, from a paused
// queue, out of order, or under an epoch that is not new.
//
// One namespace, retries without jitter, pages of lists left out. Copyable: a
// copy taken before a turn is what is true after a crash that loses the turn.
class ReferenceModel {
 public:
  explicit ReferenceModel(const EngineOptions& options);

  // One turn at `now`, before its effects are released. Contents of submits are
  // as the submitter made them (the engine fills in its own). `settled`: the
  // engine asks for no further turn at `now`.
  void Turn(absl::Time now, const std::vector<Command>& commands,
            const Effects& effects, bool settled);
  // A new engine recovered from the store at `now`.
  void Recover(absl::Time now, const Engine& engine);

  // Differences so far, for people. Empty: none.
  const std::vector<std::string>& violations() const { return violations_; }
  void AddViolation(std::string violation);

  std::vector<std::string> LiveTaskIds() const;  // sorted
  // All that were ever accepted.
  std::vector<std::string> TaskIds() const;
  size_t live_tasks() const { return LiveTaskIds().size(); }
  uint64_t last_outbox_position() const { return last_position_; }
  // All that were ever made.
  std::vector<std::string> BatchIds() const;
  std::vector<std::string> IncompleteBatchIds() const;
  // Tasks that known batches have submitted.
  size_t submitted_callbacks() const;

 private:
  struct Chunk {
    uint32_t attempt = 0;
    uint64_t turn = 0;  // readable from the next one on
    std::string data;
  };
  struct Follower {
    std::string task_id;
    const ReplySink* sink = nullptr;
  };
  struct Task {
    std::shared_ptr<const TaskContent> content;
    bool minted = false;
    TaskState state = TaskState::kQueued;
    int64_t due_millis = 0;
    uint64_t place = 0;       // order of becoming ready; equal: any order
    uint64_t place_turn = 0;  // turn in which it became ready
    uint32_t attempt = 0;
    uint32_t failures = 0;
    uint32_t crashes = 0;
    uint32_t returns = 0;
    uint64_t epoch = 0;  // 0: not leased
    uint64_t session = 0;
    bool cancel_requested = false;
    bool suspect = false;
    std::string events;  // a letter each, see ModelEventsText
    uint64_t purge = 0;  // the purge that is to cancel it, if it still waits
    bool may_be_purged = false;  // it ran while a purge went on
    std::optional<std::string> details;
    std::vector<Chunk> chunks;
    uint32_t refused_attempt = 0;  // takes no more chunks
    uint64_t chunks_deleted_turn = 0;
    // Finished:
    absl::Time finish_time;
    uint64_t finish_turn = 0;
    uint64_t outbox_position = 0;

    bool live() const { return !IsTerminal(state); }
    bool leased() const { return epoch != 0; }
    bool waiting() const { return live() && !leased(); }
  };
  struct Session {
    std::string worker_id;
    std::string session_id;
    const WorkerSink* sink = nullptr;  // null: detached
    bool draining = false;
    uint32_t credit = 0;
    std::set<std::string> types;
    std::vector<std::string> queues;
    absl::Time last_seen;
    std::map<uint64_t, std::string> leases;  // epoch to task
  };
  struct Waiter {
    std::string task_id;
    uint64_t tag = 0;
    const ReplySink* sink = nullptr;
    bool for_outcome = false;
    absl::Time deadline = absl::InfiniteFuture();
  };
  struct Watcher {
    std::string task_id;
    const ReplySink* sink = nullptr;
    std::string last_told;
  };
  struct Queue {
    bool paused = false;
    bool submit_paused = false;
  };
  struct UniqueKey {
    std::string holder;  // task id
    absl::Time holder_create_time;
    std::string next;        // BLOCKED task; empty: none
    int64_t window_end = 0;  // milliseconds; 0: until it is released
  };
  struct Request {
    Fingerprint fingerprint;
    std::string task_id;
    absl::Time create_time;
    bool attached = false;
    int64_t keep_until = 0;  // milliseconds
  };
  struct Purge {
    uint64_t number = 0;
    uint64_t tag = 0;
    std::string queue;
  };
  struct Batch {
    StoredBatch state;
    std::shared_ptr<const BatchCallbacks> callbacks;
  };
  // A cancel by filter that goes on. Its reason names it: see JobReason.
  struct CancelJob {
    uint64_t tag = 0;
    bool dry_run = false;
    std::set<std::string> meant;  // waited and matched when it was asked for
    std::set<std::string> maybe;  // ran then, and may be met while they wait
    uint64_t cancelled = 0;
    uint64_t requested = 0;
  };
  // Waits until the result service has confirmed `position`.
  struct Forget {
    uint64_t tag = 0;
    const ReplySink* sink = nullptr;
    uint64_t position = 0;
    absl::Time deadline;
  };
  // What one turn should have said, and what it said.
  struct TurnRecord {
    std::map<uint64_t, std::vector<std::string>> expected_replies;  // by tag
    std::map<const WorkerSink*, std::vector<std::string>> expected_pushes;
    std::multiset<std::string> expected_outcomes;
    std::set<uint64_t> watches;  // tags
    std::map<uint64_t, std::vector<const Reply*>> replies;
    std::map<const WorkerSink*, std::vector<const WorkerPush*>> pushes;
    std::vector<const Outcome*> outcomes;  // also those that are not kept
    std::set<const Outcome*> kept;
    std::set<std::string> changed_batches;
    std::map<std::string, StoredBatch> written_batches;
  };

  // reference_model.cc: the rules.
  void RunTimers();
  void LoseSessions();
  void EndWaits();
  void Apply(const SubmitCommand& command);
  void Apply(const GetTaskCommand& command);
  void Apply(const WaitTaskCommand& command);
  void Apply(const WatchTaskCommand& command);
  void Apply(const ForgetSinkCommand& command);
  void Apply(const CancelTaskCommand& command);
  void Apply(const CancelTasksCommand& command);
  void Apply(const UpdateTaskCommand& command);
  void Apply(const ForgetTaskCommand& command);
  void Apply(const CountTasksCommand& command);
  void Apply(const OpenSessionCommand& command);
  void Apply(const WorkerReportCommand& command);
  void Apply(const SessionDisconnectedCommand& command);
  void Apply(const ListWorkersCommand& command);
  void Apply(const CreateQueueCommand& command);
  void Apply(const UpdateQueueCommand& command);
  void Apply(const GetQueueCommand& command);
  void Apply(const DeleteQueueCommand& command);
  void Apply(const PurgeQueueCommand& command);
  void Apply(const OutboxConfirmedCommand& command);
  void Apply(const SubmitAllCommand& command);
  void Apply(const CreateBatchCommand& command);
  void Apply(const CloseBatchCommand& command);
  void Apply(const GetBatchCommand& command);
  void Apply(const ListBatchesCommand& command);
  // Not modelled; their answers are not looked at.
  void Apply(const ListTasksCommand&) {}
  void Apply(const ListQueuesCommand&) {}
  void Apply(const DrainWorkerCommand&) {}
  void Apply(const SetAdmissionCommand&) {}
  void Apply(const GetStatsCommand&) {}

  void Accept(const SubmitCommand& command, const std::string& id,
              bool blocked);
  // For its ETA, or in its lane.
  void AwaitEta(Task* task);
  void CloseSession(uint64_t number, const std::string& reason);
  void Enqueue(Task* task);
  void Schedule(Task* task, absl::Time due);
  void EndLease(Task* task);
  void Finish(const std::string& id, TaskState state,
              const std::string& failure_type);
  // reference_model_control.cc
  // What a cancel of a task that is found does.
  CancelResult Cancel(const std::string& id);
  void CountEnd(const Task& task);
  bool Matches(const TaskFilter& filter, const Task& task) const;
  // The job whose cancel this outcome is; null: none.
  CancelJob* JobOf(const Outcome& outcome);
  void TakeJobCancels();
  void AnswerJobs();
  void EndForgets();
  // Null where the engine answers that it does not know the task (any more).
  Task* Find(const std::string& id);
  Task* LeasedTask(uint64_t session_number, const LeaseName& lease);
  uint64_t SessionOf(const WorkerSink* sink) const;  // 0: none
  void ExpectReply(uint64_t tag, std::string text);
  void ExpectPush(const WorkerSink* sink, std::string text);
  std::string TaskText(const Task& task) const;
  std::string QueueText(const std::string& queue) const;
  std::string WorkersText() const;

  // reference_model_attempts.cc: how attempts end.
  void ApplyOutcome(uint64_t session_number, const ExecutionReport& report);
  void FailAttempt(const std::string& id, const Failure& failure,
                   std::optional<absl::Duration> asked_delay);
  void CrashAttempt(const std::string& id);
  // `delay`: none: as the number of returns says.
  void ReturnTask(const std::string& id, std::optional<absl::Duration> delay,
                  bool may_have_run);
  void WaitAgain(const std::string& id, absl::Duration delay);
  // It expired, or its total time is used up.
  void EndLate(const std::string& id);
  static void AddEvent(Task* task, char kind);
  static bool Keeps(const TaskContent& content, TaskState state);
  static absl::Time AttemptsEnd(const Task& task);
  bool HoldsSuspect(const Session& session) const;
  void CheckSuspects(const Session& session, const Task& task,
                     const std::string& delivery);
  void CheckNothingIsHeldBack();

  // reference_model_batches.cc.
  // Why a task whose id is new is refused; empty: it is not.
  std::string SubmitRefusal(const TaskContent& content);
  // Null where the engine answers that it does not know the batch (any more).
  Batch* FindBatch(const std::string& id);
  // Why the task may not join its batch; empty: it may.
  std::string JoinRefusal(const TaskContent& content);
  void JoinBatch(const TaskContent& content);
  void LeaveBatch(const TaskContent& content, TaskState end);
  void SettleBatches();
  // `place` is that of all callbacks of this moment.
  void SubmitCallback(const std::string& batch_id, Batch* batch,
                      BatchEvent event, std::optional<uint64_t>* place);
  void ExpectBatch(uint64_t tag, const std::string& id);
  void ReadBatchRows(const Effects& effects);
  void CompareBatches();

  // reference_model_identity.cc: unique keys and requests.
  // Whether it was; then the answer is expected.
  bool IsRepeatedRequest(const SubmitCommand& command);
  // The submit is answered OK.
  void ExpectAccepted(const SubmitCommand& command, const std::string& id,
                      absl::Time create_time, bool attached);
  void ExpectOutcome(const SubmitCommand& command, const std::string& id);
  // Null: nobody holds it.
  UniqueKey* HeldKey(const std::string& key);
  // Null: it has ended.
  Task* LiveHolder(const UniqueKey& key);
  bool HoldsKey(const Task& task, const UniqueKey& key) const;
  // What becomes of a submit whose key is free or held; when it is accepted,
  // the key is its, or it is next.
  enum class Claim { kTake, kBlock, kAttach, kRefuse };
  Claim ClaimOf(const TaskContent& content);
  void TakeKey(const TaskContent& content, const std::string& id, Claim claim);
  void ReleaseKeyAtStart(const Task& task);
  void ReleaseKeyAtEnd(const std::string& id);
  void Unblock(const std::string& id);
  // Whether this turn's cancel by filter met the task while it was blocked.
  bool WasSweptWhileBlocked(const std::string& id);
  // Whether this turn purged the task when the end of another unblocked it.
  bool WasPurgedByRelease(const std::string& id);
  // reference_model_chunks.cc: what running tasks say of themselves.
  void Apply(const FollowTaskCommand& command);
  static void ApplyProgress(Task* task, const ProgressReport& report);
  void ApplyChunks(uint64_t session_number,
                   const std::vector<ChunkReport>& reports);
  // "OK", or the refusal.
  std::string AppendChunk(Task* task, const ChunkReport& report);
  void WakeFollowers(const std::string& id);
  void DeleteOldChunks();
  std::string StreamText(const Task& task) const;
  void CheckOutcomeStream(const Outcome& outcome);

  // reference_model_checks.cc: the comparison.
  void Sort(const Effects& effects);
  void LearnIds(const std::vector<Command>& commands);
  // Whether this turn's outcome of the task says so.
  bool WasPurged(const std::string& id) const;
  // The same, or that a cancel by filter ended it.
  bool WasSwept(const std::string& id) const;
  // Whether this turn answers the wait with its timeout.
  bool TimedOut(const Waiter& waiter) const;
  void TakePurges();
  void TakePurge(const std::string& id);
  void TakeLateExpiries();
  void CompareOutcomes(const Effects& effects);
  void ComparePushes();
  void CompareReplies();
  void TakeDeliveries(const Effects& effects);
  void CheckDelivery(const Session& session, const Delivery& delivery);
  void CheckOrder(const Session& session, const Task& delivered);
  void CheckWatchers();
  bool Serves(const Session& session, const Task& task) const;

  EngineOptions options_;
  absl::Time now_ = absl::InfinitePast();
  uint64_t turn_ = 0;
  uint64_t last_place_ = 0;
  uint64_t last_epoch_ = 0;
  uint64_t last_session_ = 0;
  uint64_t last_purge_ = 0;
  uint64_t last_position_ = 0;
  uint64_t confirmed_ = 0;
  std::map<std::string, Task> tasks_;     // by id
  std::map<uint64_t, Session> sessions_;  // by number
  std::map<std::string, Queue> queues_ = {{"default", {}}};
  std::map<std::string, Batch> batches_;  // by id
  std::vector<Waiter> waiters_;
  std::map<uint64_t, Follower> followers_;   // by tag
  std::map<uint64_t, Watcher> watchers_;     // by tag
  std::map<std::string, UniqueKey> keys_;    // by key
  std::map<std::string, Request> requests_;  // by id
  std::vector<Purge> purges_;
  std::map<std::string, uint64_t> purged_;  // by queue, not told yet
  std::vector<CancelJob> cancel_jobs_;
  std::vector<Forget> forgets_;
  std::map<std::string, EndCounts> ends_;       // by queue
  std::map<uint64_t, std::string> minted_ids_;  // by tag, of this turn
  TurnRecord record_;
  std::vector<std::string> violations_;
};

// Prefix of the reason that a cancel by filter must have, in front of its tag,
// so that its outcomes are known.
inline constexpr char kJobReason[] = "by filter ";

// A reply as the model says it: as ReplyText, with all of a task's counts.
std::string ModelReplyText(const Reply& reply);
// A push that is no delivery.
std::string ModelPushText(const WorkerPush& push);
// A letter for each event: r retried, c crashed, b (back) returned, x cancel
// requested, u updated, n unblocked.
std::string ModelEventsText(const TaskHistory& history);
// What the model says of an outcome.
std::string ModelOutcomeText(const Outcome& outcome);

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_
