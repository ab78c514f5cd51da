#ifndef APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_
#define APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_

#include <algorithm>
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
#include "broker/storage/dead_letter_codec.h"

namespace apium::broker {

// What an engine must do, said plainly: a map of tasks and obvious rules, no
// windows, no rows, no disk. It is given each turn's commands and the effects
// that the engine made of them, works out what should have happened, and notes
// every difference. What the engine is free to choose (which worker gets a
// task, ids, epochs) is taken over from the effects after it has been checked:
// no delivery without credit, before the ETA, after the expiry, from a paused
// queue, of a type that a breaker holds back, out of order, or under an epoch
// that is not new; no redrive beyond its rate.
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
  std::vector<std::string> DeadLetterIds(const std::string& queue) const;
  bool has_running_redrives() const;
  // What happened so far, for a test of the histories.
  struct Counts {
    size_t letters = 0;   // kept
    size_t edited = 0;    // submitted again one at a time
    size_t redriven = 0;  // by redrives
    size_t refused = 0;
    size_t letters_purged = 0;
    size_t resumed = 0;  // by redrives, in turns after a restart
    size_t opened = 0;   // breakers
    size_t trials_succeeded = 0;
    size_t trials_failed = 0;
    size_t requests_repeated = 0;  // atomic submits
    size_t keys_twice = 0;
    size_t attached = 0;  // by atomic submits
    size_t limited = 0;   // tasks that only a limit held up
    size_t points_taken = 0;
    size_t charges = 0;
    size_t throttled = 0;
    size_t waited_in_line = 0;
    size_t keys_blocked = 0;
    size_t keys_released = 0;
    size_t rest_failed = 0;  // behind the failed head of their order
    size_t queue_full = 0;
    size_t routed = 0;
    size_t copied = 0;  // submits
    size_t unroutable = 0;
  };
  const Counts& counts() const { return counts_; }
  // Queue and ordering key.
  using LineId = std::pair<std::string, std::string>;
  std::vector<LineId> BlockedKeys() const;

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
    uint32_t copies = 0;  // further tasks of the same submit
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
    uint64_t behind_dispatch_turn = 0;  // in which it became the first of its
                                        // order while the engine dispatched
    // Finished:
    absl::Time finish_time;
    uint64_t finish_turn = 0;
    uint64_t outbox_position = 0;

    bool live() const { return !IsTerminal(state); }
    bool leased() const { return epoch != 0; }
    bool waiting() const { return live() && !leased(); }
    bool is_redriven() const {
      return std::any_of(content->headers.begin(), content->headers.end(),
                         [](const auto& header) {
                           return header.first == "apium-redriven-from";
                         });
    }
  };
  struct Session {
    std::string worker_id;
    std::string session_id;
    const WorkerSink* sink = nullptr;  // null: detached
    bool draining = false;
    uint32_t credit = 0;
    std::set<std::string> types;
    std::vector<std::string> queues;
    Placement::Labels labels;
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
    bool dead_letter = false;
    uint64_t max_length = 0;  // 0: no limit
  };
  struct UniqueKey {
    std::string holder;  // task id
    absl::Time holder_create_time;
    std::string next;        // BLOCKED task; empty: none
    int64_t window_end = 0;  // milliseconds; 0: until it is released
  };
  // What was said of one task.
  struct Answer {
    std::string task_id;
    absl::Time create_time;
    bool attached = false;
    uint32_t copies = 0;
  };
  struct Request {
    Fingerprint fingerprint;
    std::vector<Answer> answers;
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
  struct Letter {
    uint64_t number = 0;  // grows with the time of the end
    std::shared_ptr<const TaskContent> content;
    std::string failure_type;
    absl::Time dead_time;
    std::string text;  // all of it, see LetterText
  };
  // The latest redrive of a queue.
  struct Redriving {
    Redrive shown;
    uint64_t last_number = 0;  // letters that came later are not meant
    bool recovered = false;    // it began before the last restart
    std::string cursor;        // letters up to this id were looked at
    absl::Time free_at;        // the rate allows none before
  };
  // A purge or a dry run of dead letters.
  struct LetterJob {
    uint64_t tag = 0;
    std::string queue;
    bool purge = false;
    uint64_t last_number = 0;
    Redrive shown;  // of a dry run
  };
  struct Breaker {
    BreakerSettings settings;
    BreakerState state = BreakerState::kClosed;
    absl::Time open_time = absl::InfinitePast();
    uint64_t trial = 0;  // epoch; 0: none
    struct Attempt {
      absl::Time end;
      bool failed = false;
    };
    std::vector<Attempt> attempts;  // those that count
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
    std::set<uint64_t> watches;     // tags
    std::set<uint64_t> unmodelled;  // tags whose answers are not looked at
    std::map<uint64_t, std::vector<const Reply*>> replies;
    std::map<const WorkerSink*, std::vector<const WorkerPush*>> pushes;
    std::vector<const Outcome*> outcomes;  // also those that are not kept
    std::set<const Outcome*> kept;
    std::set<std::string> changed_batches;
    std::map<std::string, StoredBatch> written_batches;
    // New tasks that say that they were made from a dead letter, by id.
    std::map<std::string, std::shared_ptr<const TaskContent>> redriven_tasks;
    std::set<std::string> ended_at_once;                    // of those
    std::map<std::string, StoredRedrive> written_redrives;  // by queue
    std::set<std::string> deleted_redrives;                 // queues
    std::map<std::string, uint64_t> letter_counts;          // by queue
    bool letters_changed = false;
  };
  using Letters = std::map<std::string, Letter>;  // by task id

  // reference_model.cc: the turn and the life of one task. What a command asks
  // for is in the file of its concern.
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
  void Apply(const FollowTaskCommand& command);
  void Apply(const ListDeadLettersCommand& command);
  void Apply(const GetDeadLetterCommand& command);
  void Apply(const RedriveDeadLetterCommand& command);
  void Apply(const DiscardDeadLetterCommand& command);
  void Apply(const PurgeDeadLettersCommand& command);
  void Apply(const StartRedriveCommand& command);
  void Apply(const GetRedriveCommand& command);
  void Apply(const CancelRedriveCommand& command);
  void Apply(const SetBreakerCommand& command);
  void Apply(const GetBreakerCommand& command);
  void Apply(const ListBreakersCommand& command);
  void Apply(const ResetBreakerCommand& command);
  void Apply(const ReleaseOrderingKeyCommand& command);
  void Apply(const CreateLimitCommand& command);
  void Apply(const GetLimitCommand& command);
  void Apply(const UpdateLimitCommand& command);
  void Apply(const DeleteLimitCommand& command);
  void Apply(const PauseLimitKeyCommand& command);
  void Apply(const CreateExchangeCommand& command);
  void Apply(const UpdateExchangeCommand& command);
  void Apply(const DeleteExchangeCommand& command);
  void Apply(const CreateBindingCommand& command);
  void Apply(const DeleteBindingCommand& command);
  // Of all exchanges, in one page.
  void Apply(const ListBindingsCommand& command);
  void Apply(const SetRouteRulesCommand& command);
  // Names no queue.
  void Apply(const ResolveRouteCommand& command);
  // Not modelled; their answers are not looked at.
  void Apply(const ListTasksCommand&) {}
  void Apply(const ListQueuesCommand&) {}
  void Apply(const DrainWorkerCommand&) {}
  void Apply(const SetAdmissionCommand&) {}
  void Apply(const GetStatsCommand&) {}
  // Not in the histories.
  template <typename CommandType>
  void Apply(const CommandType&) {}

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
  // reference_model_control.cc: cancels, changes, counts.
  // What a cancel of a task that is found does.
  CancelResult Cancel(const std::string& id);
  void CountEnd(const Task& task);
  bool Matches(const TaskFilter& filter, const Task& task) const;
  // The job whose cancel this outcome is; null: none.
  CancelJob* JobOf(const Outcome& outcome);
  void TakeJobCancels();
  // Whether it was allowed.
  bool TakeJobCancel(const Outcome& outcome);
  void AnswerJobs();
  void EndForgets();
  // Null where the engine answers that it does not know the task (any more).
  Task* Find(const std::string& id);
  // reference_model_workers.cc
  // Null: the report is refused.
  Task* LeasedTask(uint64_t session_number, const LeaseName& lease);
  uint64_t SessionOf(const WorkerSink* sink) const;  // 0: none
  std::string WorkersText() const;
  void ExpectReply(uint64_t tag, std::string text);
  void ExpectPush(const WorkerSink* sink, std::string text);
  std::string TaskText(const Task& task) const;
  // reference_model_queues.cc
  std::string QueueText(const std::string& queue) const;
  // With its settings.
  std::string QueueAnswer(const std::string& queue) const;

  // reference_model_attempts.cc: how attempts end.
  void ApplyOutcome(uint64_t session_number, const ExecutionReport& report);
  void FailAttempt(const std::string& id, const Failure& failure,
                   std::optional<absl::Duration> asked_delay);
  void CrashAttempt(const std::string& id);
  // `delay`: none: as the number of returns says.
  void ReturnTask(const std::string& id, std::optional<absl::Duration> delay,
                  bool may_have_run, bool throttled = false);
  void WaitAgain(const std::string& id, absl::Duration delay);
  // It expired, or its total time is used up.
  void EndLate(const std::string& id);
  // It has no attempts left: FAILED, or a dead letter.
  void Exhaust(const std::string& id, const std::string& failure_type);
  static void AddEvent(Task* task, char kind);
  static bool Keeps(const TaskContent& content, TaskState state);
  static absl::Time AttemptsEnd(const Task& task);
  bool HoldsSuspect(const Session& session) const;
  void CheckSuspects(const Session& session, const Task& task,
                     const std::string& delivery);
  void CheckNothingIsHeldBack();

  // reference_model_placement.cc
  // reference_model_routing.cc
  struct ModelExchange {
    Exchange settings;
    std::set<Binding> bindings;
  };
  std::set<std::string> QueuesOf(
      const Route& route,
      const std::vector<std::pair<std::string, std::string>>& headers) const;
  std::string RuledQueue(const std::string& type) const;
  std::string ExchangeAnswer(const std::string& name) const;
  // Another exchange that leads to it; empty: none.
  std::string UserOf(const std::string& name) const;
  bool MakeReachable(const std::string& queue);
  // A submit that names no queue, and no task that is known.
  void ApplyRouted(const SubmitCommand& command);
  // One for each queue, two or more.
  std::string CopiesRefusal(const std::vector<SubmitCommand>& made);
  void ApplyCopies(const SubmitCommand& command,
                   std::vector<SubmitCommand> made);
  void ForgetRoutesTo(const std::string& queue);

  struct ModelLimit {
    Limit limit;
  };
  // Of one limit under one key.
  struct Points {
    double left = 0;
    absl::Time time;  // at which that was so
  };
  // Whom a task gets the benefit of rounding for.
  enum class Benefit { kFree, kLimited };
  static std::string TenantOf(const TaskContent& content);
  // Whether they wait in one lane, if they are of one queue.
  static bool IsAlike(const TaskContent& a, const TaskContent& b);
  static bool HasLabels(const Session& session, const TaskContent& content);
  Points& PointsAt(const ModelLimit& model, const std::string& key);
  // Whether a limit holds the task up.
  bool IsLimited(const Task& task, Benefit benefit);
  void TakePoints(const Task& task);
  void ApplyCharge(uint64_t session, const ChargeReport& report);
  // Whether the return is one that pauses a limit's key.
  bool Throttle(const Task& task, const ExecutionReport& report);
  std::string LimitAnswer(const std::string& name) const;
  void ForgetUse(const std::string& name);

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
  bool IsRepeatedRequest(const SubmitAllCommand& command);
  // Null: nothing is remembered.
  const Request* FindRequest(const RequestIdentity& request) const;
  void RememberRequest(const RequestIdentity& request,
                       std::vector<Answer> answers);
  static std::string AnswerText(const Answer& answer);
  // The submit is answered OK.
  void ExpectAccepted(const SubmitCommand& command, const std::string& id,
                      absl::Time create_time, bool attached,
                      uint32_t copies = 0);
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

  // reference_model_batches.cc: atomic submits.
  struct Plan {
    std::string id;  // empty: minted when it is accepted
    std::optional<absl::Time> known_since;
    uint32_t known_copies = 0;
    Claim claim = Claim::kTake;
    std::optional<Answer> attached;
    std::optional<size_t> same_as;  // task of the call
  };
  // Why the task is refused; empty: it is not.
  std::string PlanSubmit(const TaskContent& content, Plan* plan);
  // Empty: the call is refused, and the answer expected.
  std::vector<Plan> PlanAll(const SubmitAllCommand& command);

  // reference_model_ordering.cc
  // Tasks of a queue with the same ordering key.
  struct Line {
    std::string head;  // may run; empty: none may
    std::vector<std::string> waiting;
    std::set<std::string> to_fail;  // of them
    bool failing = false;           // until the next turn
    bool blocked = false;
    bool empty() const {
      return head.empty() && waiting.empty() && !failing && !blocked;
    }
    bool wants_head() const {
      return head.empty() && !waiting.empty() && !failing && !blocked;
    }
  };
  static bool IsOrdered(const TaskContent& content);
  static LineId LineOf(const TaskContent& content);
  bool WaitsInLine(const std::string& id) const;
  // Whether the task is the first; else it waits in its line.
  bool JoinLine(const std::string& id);
  void LeaveLine(const std::string& id);
  void PassLineOn(const LineId& key);
  // Those whose head failed in a former turn.
  void FailMembers();
  // Whether this turn purged the task before it could become the first.
  bool WasPurgedWhileBlocked(const std::string& id) const;
  // Whether that came of the end of the first.
  bool WillBePurgedByItsLine(const std::string& id) const;
  bool TakeJobCancelWhileBlocked(const std::string& id);
  std::string LineText(const Task& task) const;
  // What submits ask of a queue.
  struct Demand {
    uint64_t tasks = 0;
    uint64_t replaced = 0;
  };
  void AddDemand(const TaskContent& content, Claim claim, Demand* demand);
  // Why the queue does not take it; empty: it does.
  std::string RoomRefusal(const std::string& queue, const Demand& demand);
  std::string RoomRefusal(const SubmitAllCommand& command,
                          const std::vector<Plan>& plans);

  // reference_model_dead_letters.cc
  void KeepLetter(const std::string& id, const std::string& failure_type);
  void DropLetter(const std::string& queue, const std::string& id);
  // Null: there is none.
  const Letter* FindLetter(const std::string& queue,
                           const std::string& id) const;
  size_t LettersOf(const std::string& queue) const;
  bool Matches(const DeadLetterFilter& filter, const Letter& letter) const;
  void TakeLetterJobs();

  // reference_model_redrives.cc
  // What a redrive submits.
  std::shared_ptr<TaskContent> ContentToRedrive(const std::string& id,
                                                const Letter& letter) const;
  // The task that was made from the letter is as it must be, and is taken over.
  void TakeRedriven(const std::string& new_id,
                    const std::shared_ptr<TaskContent>& content);
  void StepRedrives();
  void StepRedrive(const std::string& queue, Redriving* redriving,
                   std::optional<uint64_t>* place);
  // A new task that was made of the letter in this turn, by a redrive; empty:
  // there is none.
  std::string RedrivenFrom(const std::string& id,
                           const TaskContent& content) const;
  // Whether one of the redrive is behind its cursor.
  bool HasMore(const std::string& queue, const Redriving& redriving,
               const std::string& cursor) const;
  void CheckRedrives();
  // The answer that tells of the queue's redrive.
  void ExpectRedrive(uint64_t tag, const std::string& queue);
  // reference_model_letter_rows.cc: what is on disk.
  void ReadLetterRows(const Effects& effects);
  void ReadRow(const std::string& key, const std::string* value);
  void CompareLetters();

  // reference_model_breakers.cc
  void NoteAttemptEnd(const Task& task, bool failed);
  void Open(Breaker* breaker);
  void Close(Breaker* breaker);
  void HalfOpenBreakers();
  // No task of the type may be dispatched now.
  bool IsHeldBack(const std::string& type) const;
  void NoteDelivery(const Task& task);
  BreakerInfo InfoOf(const std::string& type, const Breaker& breaker) const;
  void ExpectBreaker(uint64_t tag, const std::string& type);
  void CheckBreakers();

  // reference_model_chunks.cc: what running tasks say of themselves.
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
  std::map<std::string, EndCounts> ends_;      // by queue
  std::map<std::string, Letters> letters_;     // by queue
  uint64_t last_letter_ = 0;                   // number
  std::map<std::string, Redriving> redrives_;  // by queue
  std::vector<LetterJob> letter_jobs_;         // in the order of their calls
  std::map<std::string, Breaker> breakers_;    // by type
  // By name.
  std::map<std::string, ModelExchange> exchanges_;
  std::vector<RouteRule> rules_;
  uint64_t rules_revision_ = 0;
  std::map<std::string, ModelLimit> limits_;  // by name
  // By name and key.
  std::map<std::pair<std::string, std::string>, Points> points_;
  std::map<std::pair<std::string, std::string>, absl::Time> pauses_;
  // What is on disk: names of queues by their number, and their letters.
  std::map<uint32_t, std::string> queue_names_;
  std::map<std::string, std::map<std::string, std::string>> letter_rows_;
  std::map<LineId, Line> lines_;
  bool dispatching_ = false;  // the turn's commands are carried out
  Counts counts_;
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
// All that is kept of a task that died.
std::string LetterText(const TaskContent& content, const Outcome& outcome,
                       const std::string& events);
std::string ModelRedriveText(const Redrive& redrive);
std::string ModelBreakerText(const BreakerInfo& breaker);

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_REFERENCE_MODEL_H_
