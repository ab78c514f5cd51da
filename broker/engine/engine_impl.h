#ifndef APIUM_BROKER_ENGINE_ENGINE_IMPL_H_
#define APIUM_BROKER_ENGINE_ENGINE_IMPL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/engine.h"
#include "broker/engine/engine_state.h"
#include "broker/engine/submit_plan.h"

namespace apium::broker {

// RESOURCE_EXHAUSTED / TOO_MANY_WAITERS.
absl::Status TooManyWaiters(size_t limit);

// The rules of the shard over its tables. One file for each concern:
//   engine.cc         the turn, recovery
//   engine_tasks.cc   submit, look at, wait for, end a task
//   engine_cancel.cc  cancel one task, several, all that match a filter
//   engine_control.cc change a task that waits, forget one that ended, count
//   engine_workers.cc sessions, what workers report
//   engine_dispatch.cc which worker gets which task
//   engine_placement.cc labels, preferences, stickiness
//   engine_explain.cc why tasks wait
//   engine_attempts.cc how attempts end, and what follows
//   engine_queues.cc  queues, purge, counts
//   engine_chunks.cc  what running tasks say of themselves: progress, chunks
//   engine_dead_letters.cc  tasks that used up their attempts, one at a time
//   engine_redrives.cc      many of them at once
//   engine_breakers.cc      types whose attempts fail too often
//   engine_limits.cc  how many run, and how many start in a time
//   engine_batches.cc groups of tasks and what is submitted at their end
//   engine_identity.cc unique keys, blocked tasks, repeated requests
//   engine_ordering.cc tasks that run in the order in which they were accepted
//   engine_queue_limits.cc full queues, defaults of tasks, the head of a queue
//   engine_submit_all.cc several tasks, all or none
//   engine_routing.cc  exchanges, bindings, route rules
//   engine_copies.cc   several tasks from one submit
class Engine::Impl : public EngineState {
 public:
  using EngineState::EngineState;

  absl::Status Recover(absl::Time now);
  absl::Status BeginTurn(const TurnTime& time);
  absl::Status EndTurn(Effects* effects);
  absl::Time NextTurnTime() const;

  absl::Status Apply(SubmitCommand&& command);
  absl::Status Apply(GetTaskCommand&& command);
  absl::Status Apply(WaitTaskCommand&& command);
  absl::Status Apply(WatchTaskCommand&& command);
  absl::Status Apply(ForgetSinkCommand&& command);
  absl::Status Apply(CancelTaskCommand&& command);
  absl::Status Apply(CancelTasksCommand&& command);
  absl::Status Apply(UpdateTaskCommand&& command);
  absl::Status Apply(ForgetTaskCommand&& command);
  absl::Status Apply(CountTasksCommand&& command);
  absl::Status Apply(ListTasksCommand&& command);
  absl::Status Apply(OpenSessionCommand&& command);
  absl::Status Apply(WorkerReportCommand&& command);
  absl::Status Apply(SessionDisconnectedCommand&& command);
  absl::Status Apply(ListWorkersCommand&& command);
  absl::Status Apply(DrainWorkerCommand&& command);
  absl::Status Apply(CreateQueueCommand&& command);
  absl::Status Apply(UpdateQueueCommand&& command);
  absl::Status Apply(GetQueueCommand&& command);
  absl::Status Apply(ListQueuesCommand&& command);
  absl::Status Apply(DeleteQueueCommand&& command);
  absl::Status Apply(PurgeQueueCommand&& command);
  absl::Status Apply(OutboxConfirmedCommand&& command);
  absl::Status Apply(SetAdmissionCommand&& command);
  absl::Status Apply(GetStatsCommand&& command);
  absl::Status Apply(SubmitAllCommand&& command);
  absl::Status Apply(CreateBatchCommand&& command);
  absl::Status Apply(CloseBatchCommand&& command);
  absl::Status Apply(GetBatchCommand&& command);
  absl::Status Apply(ListBatchesCommand&& command);
  absl::Status Apply(FollowTaskCommand&& command);
  absl::Status Apply(ListDeadLettersCommand&& command);
  absl::Status Apply(GetDeadLetterCommand&& command);
  absl::Status Apply(RedriveDeadLetterCommand&& command);
  absl::Status Apply(DiscardDeadLetterCommand&& command);
  absl::Status Apply(PurgeDeadLettersCommand&& command);
  absl::Status Apply(StartRedriveCommand&& command);
  absl::Status Apply(GetRedriveCommand&& command);
  absl::Status Apply(CancelRedriveCommand&& command);
  absl::Status Apply(SetBreakerCommand&& command);
  absl::Status Apply(GetBreakerCommand&& command);
  absl::Status Apply(ListBreakersCommand&& command);
  absl::Status Apply(ResetBreakerCommand&& command);
  absl::Status Apply(PeekQueueCommand&& command);
  absl::Status Apply(ExplainQueueCommand&& command);
  absl::Status Apply(ExplainTaskCommand&& command);
  absl::Status Apply(ReleaseOrderingKeyCommand&& command);
  absl::Status Apply(CreateExchangeCommand&& command);
  absl::Status Apply(GetExchangeCommand&& command);
  absl::Status Apply(ListExchangesCommand&& command);
  absl::Status Apply(UpdateExchangeCommand&& command);
  absl::Status Apply(DeleteExchangeCommand&& command);
  absl::Status Apply(CreateBindingCommand&& command);
  absl::Status Apply(DeleteBindingCommand&& command);
  absl::Status Apply(ListBindingsCommand&& command);
  absl::Status Apply(SetRouteRulesCommand&& command);
  absl::Status Apply(GetRouteRulesCommand&& command);
  absl::Status Apply(ResolveRouteCommand&& command);
  absl::Status Apply(CreateLimitCommand&& command);
  absl::Status Apply(GetLimitCommand&& command);
  absl::Status Apply(ListLimitsCommand&& command);
  absl::Status Apply(UpdateLimitCommand&& command);
  absl::Status Apply(DeleteLimitCommand&& command);
  absl::Status Apply(ListLimitUsageCommand&& command);
  absl::Status Apply(PauseLimitKeyCommand&& command);

 private:
  // engine.cc
  absl::Status RecoverLeases(absl::Time now);
  absl::Status RunDueTimers();
  absl::Status RunTimers(const std::vector<TimerId>& due);
  void AnswerExpiredWaiters();
  // engine_tasks.cc
  absl::StatusOr<TaskTable::Found> FindTask(const std::string& key);
  absl::Status AnswerRepeatedSubmit(const SubmitCommand& command,
                                    const TaskTable::Found& found);
  absl::Status TaskIdReused(const std::string& task_id) const;
  absl::Status CheckQueueForSubmit(const TaskContent& content);
  absl::StatusOr<Queue*> QueueForSubmit(const TaskContent& content);
  enum class Start : uint8_t { kWhenDue, kBlocked };
  absl::Status Accept(SubmitCommand* command, std::string key, Queue* queue,
                      bool minted, Start start = Start::kWhenDue,
                      uint32_t copies = 0);
  // The task, which waits nowhere, becomes ready, or scheduled for its ETA.
  absl::Status AwaitEta(LiveTask* task);
  // What the wall clock shows: the time that ETAs are compared with.
  absl::Time WallNow() const { return now_ - lead_; }
  // A submit that made no task was answered.
  void CountRepeated(const TaskContent& content, bool accepted);
  // OutcomeReply to `to` when the task has ended, which may be now.
  absl::Status ReportOutcome(const ReplyAddress& to,
                             const std::string& namespace_name,
                             const std::string& task_id);
  absl::StatusOr<TaskReply> ReplyFor(const std::string& namespace_name,
                                     const std::string& task_id,
                                     const TaskTable::Found& found);
  TaskSnapshot SnapshotOf(const LiveTask& task);
  absl::Status AddWaiter(const ReplyAddress& to, Waiter::Kind kind,
                         const std::string& namespace_name,
                         const std::string& task_id, absl::Time deadline);
  void NotifyWatchers(const LiveTask& task);
  // The task waits until `due`, then is ready.
  absl::Status Schedule(LiveTask* task, absl::Time due);
  // Takes the task, which is scheduled, out of the timers.
  void Unschedule(LiveTask* task);
  // The timers that a task has from its submit to its end, whatever its state:
  // of its expiry and of its total time.
  void AddLifeTimers(const LiveTask& task);
  void RemoveLifeTimers(const LiveTask& task);
  struct Ending {
    TaskState state = TaskState::kSucceeded;
    Payload result;
    std::optional<Failure> failure;
    absl::Time start_time = absl::InfinitePast();
  };
  // Ends a live task: out of its lane, timers and lease; outcome into the
  // outbox; whoever waits is told.
  absl::Status Finish(LiveTask* task, Ending ending);
  void CountEnd(const LiveTask& task, const Outcome& outcome);

  // engine_cancel.cc
  // Ends a task that waits; asks the worker of one that is leased. The task is
  // live.
  absl::StatusOr<CancelResult> CancelLive(LiveTask* task,
                                          const std::string& reason);
  absl::Status StartCancelJob(CancelTasksCommand command);
  // Counts the task if the job's filter takes it, and cancels it unless the job
  // only counts. Whether it has ended.
  absl::StatusOr<bool> JudgeForCancel(CancelJob* job, LiveTask* task);
  // The task, which waits, is about to leave its place: cancels it if a job
  // would have come to it. Whether it has ended.
  absl::StatusOr<bool> CancelOnTheMove(LiveTask* task);
  absl::Status RunCancelJobs();
  // What a turn may still do for cancel jobs.
  struct CancelBudget {
    int64_t tasks = 0;
    int64_t bytes = 0;
  };
  absl::Status StepCancelJob(CancelJob* job, CancelBudget* budget);

  // engine_control.cc
  absl::Status UpdateWaiting(LiveTask* task, const UpdateTaskCommand& command);
  // As CancelOnTheMove, for purges as well.
  absl::StatusOr<bool> EndOnTheMove(LiveTask* task);
  void AnswerConfirmWaiters();

  // engine_workers.cc
  void Subscribe(Session* session);
  // `name`: its number in session->queue_names.
  void SubscribeTo(Session* session, Queue* queue, size_t name);
  void Unsubscribe(Session* session);
  absl::Status CheckSubscription(const OpenSessionCommand& command);
  absl::Status DescribeSession(const OpenSessionCommand& command,
                               Session* session);
  absl::StatusOr<Session*> ResumeSession(const OpenSessionCommand& command,
                                         SessionOpened* opened);
  // The session is over: its stream is told, what it holds has crashed.
  absl::Status CloseSession(Session* session, absl::Status reason);
  // The session takes too much: it is over, what it holds is returned.
  absl::Status CloseOverdrawnSession(Session* session, absl::Status reason);
  // The task that the lease names, if it is this session's; else refuses the
  // report and returns null.
  LiveTask* LeasedTask(const Session& session, const LeaseName& lease);

  // engine_dispatch.cc
  absl::Status Dispatch();
  // Whether the session got a task.
  absl::StatusOr<bool> DispatchOne(Session* session);
  absl::StatusOr<bool> DispatchFrom(Queue* queue, Session* session);
  absl::Status Deliver(LiveTask* task, Session* session, Queue* queue);
  // The task, which was just leased, counts against its tenant and its limits;
  // its lease ends, and it no longer does, whatever becomes of it.
  void ChargeLease(LiveTask* task);
  void EndLease(LiveTask* task);
  // How often each queue of the session has its turn.
  void ShareTurns(Session* session);
  // Whether the session can be given tasks of such lanes at all.
  // `breakers`: of the lanes' namespace.
  bool MayRun(const Session& session, const LaneGroup& group,
              const BreakerTable::ByType* breakers) const;
  // The lane whose head is next for the session; null: nothing is.
  Lane* BestLane(const Session& session, Queue* queue);
  Lane* OpenLane(const Session& session, Queue* queue) const;
  // Whether a limit holds the lane's suspects up.
  bool IsHeldByLimit(Lane* lane);
  // The same among tasks that run alone.
  Lane* BestSuspectLane(const Session& session, const Queue* queue);
  bool SuspectsWaitFor(const Session& session);
  // Chooses the session that gets nothing but suspects, so that they are not
  // starved: see ARCHITECTURE.md.
  void ReserveSession();

  // engine_placement.cc
  // The session that is to get the task, which `first` could get: another only
  // if the task prefers that.
  Session* PreferredSession(const LiveTask& task, const Lane* lane,
                            Queue* queue, Session* first);

  // engine_explain.cc
  // All that holds it up; none: it is about to be dispatched, or does not wait.
  absl::StatusOr<std::vector<WaitReason>> ReasonsOf(const LiveTask& task);
  // The same for whatever waits in the lane.
  std::vector<WaitReason> ReasonsOf(Lane* lane);
  absl::StatusOr<WaitReason> BlockedReason(const LiveTask& task);
  void AddWorkerReason(const Queue& queue, const LaneGroup& group,
                       std::vector<WaitReason>* reasons);
  bool HasFreeWorker(const Lane& lane) const;
  // `task`: of the lane; null: any.
  WaitReason BusyReason(const Lane& lane, const LiveTask* task);
  // The first reason of a task, for people.
  std::string WaitingReason(const LiveTask& task);
  // Tasks that use what the reason is about up.
  void NameHolders(WaitReason* reason) const;
  // The first reasons of all tasks of the queue.
  std::vector<WaitReason> SumReasons(Queue* queue);
  void SampleBlocked(Queue* queue);

  // engine_attempts.cc
  absl::Status ApplyOutcome(Session* session, ExecutionReport report);
  absl::Status FailAttempt(LiveTask* task, Failure failure,
                           std::optional<absl::Duration> asked_delay,
                           absl::Time start_time);
  // The worker was lost with the task, or (with `failure`) the process that ran
  // it died. Either way it is a suspect from here on.
  absl::Status CrashAttempt(LiveTask* task, const Failure* failure,
                            absl::Time start_time);
  // A task that comes back unharmed.
  struct Return {
    std::string detail;  // why, for people
    absl::Time start_time = absl::InfinitePast();
    std::optional<absl::Duration> delay;  // none: by the number of returns
    bool may_have_run = false;
    // Of the task: it is not counted as a return, and waits for it at its old
    // place. Null: none.
    LimitInstance* throttled = nullptr;
  };
  absl::Status ReturnTask(LiveTask* task, Return given);
  // After `event` the task, which is leased, waits at its old place, or for
  // `delay`; or it ends, if it was to be cancelled or is too late.
  absl::Status WaitAgain(LiveTask* task, TaskEvent event, absl::Duration delay);
  // What `kind` of event just happened to the current attempt. Its state is for
  // the caller to set.
  TaskEvent AttemptEvent(const LiveTask& task, TaskEventKind kind,
                         absl::Time start_time) const;
  // Ends a task that has no attempts left, or whose failure is final. Every
  // end as FAILED goes through here; the state of `ending` is set.
  absl::Status Exhaust(LiveTask* task, Ending ending);
  absl::Status ExhaustAfter(LiveTask* task, TaskEvent event, Failure failure);
  // The state in which Exhaust ends the task.
  TaskState ExhaustedState(const LiveTask& task);
  // Whether the time for an attempt is over: the task expired, or its total
  // time is used up.
  bool IsLate(const LiveTask& task) const;
  // Ends a task that IsLate, and waits.
  absl::Status EndLateTask(LiveTask* task);

  // engine_queues.cc
  absl::StatusOr<Queue*> ExistingQueue(const std::string& namespace_name,
                                       const std::string& name);
  Queue* CreateQueue(const std::string& namespace_name,
                     const std::string& name);
  QueueInfo InfoOf(const Queue& queue) const;
  absl::Time OldestReady(const Queue& queue) const;
  absl::Status RunPurges();
  // The purge that is to cancel the task, which is scheduled; null: none.
  Purge* PurgeOf(const LiveTask& task);
  absl::Status PurgeTask(LiveTask* task, Purge* purge);
  absl::StatusOr<bool> PurgeSome(Purge* purge);
  absl::Status PurgeLanes(Queue* queue, Purge* purge, size_t* budget);
  absl::Status PurgeScheduled(Queue* queue, Purge* purge, size_t* budget,
                              bool* done);

  // engine_chunks.cc
  absl::Status ApplyProgress(const Session& session, ProgressReport report);
  absl::Status ApplyChunks(const Session& session,
                           std::vector<ChunkReport> reports);
  // OK: the chunk is, or was already, appended.
  absl::StatusOr<absl::Status> ApplyChunk(LiveTask* task, ChunkReport report);
  // What is not in the row of a task that a worker holds.
  absl::Status RecoverStream(LiveTask* task);
  // What earlier attempts left for this one.
  absl::Status AddHandover(const LiveTask& task, Delivery* delivery);
  absl::Status AddDetails(const LiveTask& task, TaskSnapshot* snapshot);
  // The task ends: its details are the outcome's, its chunks have a time limit.
  absl::Status EndStream(LiveTask* task, Outcome* outcome);
  absl::StatusOr<FollowReply> FollowFrom(const FollowTaskCommand& command,
                                         const TaskTable::Found& found,
                                         const std::string& key);
  // Timers of chunks are due.
  absl::Status DeleteChunks(const std::string& task_key);
  // Chunks of a task that has ended are deleted before their time.
  absl::Status ForgetChunks(const std::string& task_key);
  // engine_dead_letters.cc
  // The task, which has just ended, goes to the queue's dead-letter store.
  absl::Status KeepDeadLetter(const LiveTask& task, Queue* queue);
  void DropDeadLetter(Queue* queue, const DeadLetter& letter);
  // The content of the task that takes the letter's place, with an id.
  std::shared_ptr<TaskContent> ContentToRedrive(const DeadLetter& letter);
  // Submits `content` instead of the letter, or says in `refusal` why not.
  absl::Status RedriveLetter(Queue* queue, const DeadLetter& letter,
                             std::shared_ptr<TaskContent> content,
                             absl::Status* refusal);
  struct FoundLetter {
    absl::Status status;  // NOT_FOUND: the namespace, queue or letter
    Queue* queue = nullptr;
    std::shared_ptr<const DeadLetter> letter;
  };
  absl::StatusOr<FoundLetter> FindDeadLetter(const std::string& namespace_name,
                                             const std::string& queue,
                                             const std::string& task_id);

  // engine_redrives.cc
  absl::Status RunRedrives();
  absl::Status RunRedrive(Queue* queue, StoredRedrive* redrive, size_t* budget);
  size_t LettersToRead(const StoredRedrive& redrive, absl::Duration step,
                       size_t budget) const;
  absl::StatusOr<StoredRedrive*> ExistingRedrive(
      const std::string& namespace_name, const std::string& queue_name);
  absl::Status AddLetterScan(LetterScan scan);
  absl::Status RunLetterScans();

  // engine_breakers.cc
  bool IsHeldByBreaker(const LiveBreaker& breaker) const;
  // Why the breaker of its type holds a task up; empty: it does not.
  std::string BreakerReason(const std::string& namespace_name,
                            const std::string& type);
  // A task was leased; its lease ends with success, or with a failure or crash.
  // Only where there are breakers.
  void NoteDispatch(const LiveTask& task);
  void NoteAttemptEnd(const LiveTask& task, bool failed);
  BreakerInfo InfoOf(const LiveBreaker& breaker) const;
  absl::StatusOr<LiveBreaker*> ExistingBreaker(
      const std::string& namespace_name, const std::string& type);

  // engine_limits.cc
  // A task that is leased already counts against the limits that there are.
  void CountLease(LiveTask* task);
  // The same for all, after limits came to count other tasks.
  void CountLeasesAnew();
  // The limit of this name that counts the task, which is leased, and is not
  // disabled; null: none.
  LimitInstance* HeldLimit(const LiveTask& task, const std::string& name) const;
  void ApplyCharge(const Session& session, const ChargeReport& report);
  // What is counted under this key is held up for `delay`.
  void Throttle(LimitInstance* instance, absl::Duration delay);
  absl::StatusOr<LiveLimit*> ExistingLimit(const std::string& namespace_name,
                                           const std::string& name);
  absl::Status CheckNewLimit(const std::string& namespace_name,
                             const std::string& name);
  absl::Status UpdateLimit(const UpdateLimitCommand& command, LiveLimit* limit);

  // engine_batches.cc
  // Whether the task may join its batch; says in `refusal` if not.
  absl::Status CheckJoin(const TaskContent& content, absl::Status* refusal);
  // A member was accepted; a member has ended.
  absl::Status JoinBatch(const TaskContent& content);
  absl::Status LeaveBatch(const TaskContent& content, TaskState state);
  // Draws the conclusions from what members did so far: callbacks are
  // submitted, batches become complete. Not in the middle of a change of tasks,
  // because it makes tasks.
  absl::Status SettleBatches();
  absl::Status SettleBatch(LiveBatch* batch);
  absl::Status SubmitCallback(LiveBatch* batch, BatchEvent event);
  absl::Status CheckCallbacks(const BatchCallbacks& callbacks);
  absl::Status AnswerWithBatch(const ReplyAddress& to,
                               const std::string& namespace_name,
                               const std::string& batch_id);

  // engine_identity.cc
  // What the request was answered when it came first; null: it is new. One of
  // the same id with other content: says so in `refusal`.
  absl::StatusOr<const StoredRequest*> FindRequest(
      const std::string& namespace_name, const RequestIdentity& request,
      absl::Status* refusal);
  void RememberRequest(const std::string& namespace_name,
                       const RequestIdentity& request,
                       const std::vector<SubmitReply>& answers);
  // Whether the request was seen before; then it is answered.
  absl::StatusOr<bool> AnswerRepeatedRequest(const SubmitCommand& command);
  absl::StatusOr<bool> AnswerRepeatedRequest(const SubmitAllCommand& command);
  // Answers, and remembers the answer if the request has an id. Before Accept,
  // which takes the content.
  void AnswerSubmit(const SubmitCommand& command, SubmitReply reply);
  // Changes nothing.
  absl::StatusOr<KeyClaim> ClaimKey(const TaskContent& content);
  absl::Status AnswerAttached(const SubmitCommand& command,
                              const StoredUniqueKey& row);
  // The task, which is about to be accepted, holds its key, or gets it next;
  // those whose place it takes end.
  absl::Status TakeKey(const TaskContent& content, const KeyClaim& claim);
  absl::Status ReplaceTask(LiveTask* task, const std::string& successor);
  // The task that waits for the key.
  absl::StatusOr<LiveTask*> BlockedTaskOf(const std::string& namespace_name,
                                          const StoredUniqueKey& row);
  // Of a task that has a unique key: a worker got it; it has ended.
  absl::Status ReleaseKeyAtStart(const TaskContent& content);
  absl::Status ReleaseKeyAtEnd(const TaskContent& content);
  absl::Status PassKeyOn(const TaskContent& holder, const StoredUniqueKey& row);
  void Block(LiveTask* task, Queue* queue);
  void LeaveBlocked(const LiveTask& task);
  // What a blocked task waited for has ended: it waits as others do, or for
  // those that are before it in its order.
  absl::Status Unblock(LiveTask* task);
  // The task is no longer blocked.
  absl::Status LetGo(LiveTask* task);
  absl::Status PurgeBlocked(Queue* queue, Purge* purge, size_t* budget,
                            bool* done);

  // engine_ordering.cc
  // Of a task that IsOrdered.
  absl::StatusOr<OrderingLine*> LineOf(const TaskContent& content);
  // Whether the task, which is new or was blocked by its unique key, is the
  // first of its line; else it waits there, BLOCKED.
  absl::StatusOr<bool> JoinLine(LiveTask* task, Queue* queue);
  // The task has ended as `state`.
  absl::Status LeaveLine(const LiveTask& task, TaskState state);
  void LeaveToNextTurn(OrderingLine* line);
  // The first member becomes the head, where there is none and may be one.
  absl::Status PassLineOn(OrderingLine* line);
  absl::StatusOr<LiveTask*> MemberOf(const Queue& queue,
                                     const std::string& task_id);
  // Ends members whose head failed.
  absl::Status FailMembers(OrderingLine* line, size_t* budget);
  absl::Status RunUnsettledLines();
  // None: the task does not wait for others of its ordering key. Without
  // `ahead`, which costs more.
  absl::StatusOr<std::optional<OrderingPlace>> PlaceInLine(
      const LiveTask& task);
  // Of a task that has a place.
  absl::Status CountAhead(const LiveTask& task, OrderingPlace* place);

  // engine_queue_limits.cc
  absl::Status AddDemand(const TaskContent& content, const KeyClaim& claim,
                         Demand* demand);
  // OK: the queue can take it, after the end of `victims`. RESOURCE_EXHAUSTED /
  // QUEUE_FULL. Changes nothing.
  absl::Status MakeRoom(const Queue& queue, const Demand& demand,
                        std::vector<LiveTask*>* victims) const;
  // Sets the victims aside as dead letters, except those that ended meanwhile.
  absl::Status SetAside(const std::vector<LiveTask*>& victims);
  static absl::Status CheckOverflow(const QueueSettings& settings);
  // Gives the task what its queue says and its submitter did not.
  static void ApplyDefaults(const TaskDefaults& defaults,
                            SubmitCommand* command);

  // engine_submit_all.cc
  // What is to be done for one task of several.
  struct SubmitPlan {
    std::string key;
    bool minted = false;
    // When the same was submitted before; none: it was not.
    std::optional<absl::Time> first_create_time;
    uint32_t first_copies = 0;  // with first_create_time
    KeyClaim claim;
    // The further tasks that routing makes of it.
    std::vector<SubmitCommand> copies;
  };
  // What a call asks for so far.
  struct CallPlan {
    // By key, of tasks and copies: the number of the task.
    absl::flat_hash_map<std::string, size_t> first_of_key;
    absl::flat_hash_set<std::string_view> unique_keys;
    size_t number = 0;      // of the task that is being planned
    size_t copy_bytes = 0;  // of all copies
  };
  // Looks at everything that could refuse one of the tasks, says in `reply` if
  // something does, and changes nothing.
  absl::StatusOr<std::vector<SubmitPlan>> PlanAll(
      std::vector<SubmitCommand>* tasks, SubmitAllReply* reply);
  // Whether the queues have room for all tasks together, as MakeRoom.
  absl::StatusOr<absl::Status> MakeRoomForAll(
      const std::vector<SubmitCommand>& tasks,
      const std::vector<SubmitPlan>& plans, std::vector<LiveTask*>* victims);
  // The same for a task that the call has not named before.
  absl::Status PlanSubmit(SubmitCommand* submit, CallPlan* call,
                          SubmitPlan* plan, absl::Status* refusal);
  absl::StatusOr<SubmitReply> CarryOut(SubmitPlan plan, SubmitCommand* submit);
  // Accepts all or none: of one namespace, without a look at their requests.
  absl::Status SubmitAll(std::vector<SubmitCommand>* tasks,
                         SubmitAllReply* reply);
  // The queue of a submit that was looked at: what others of the call have done
  // since does not refuse it any more.
  Queue* PlannedQueue(const TaskContent& content);
  // A submit was refused.
  void CountRefused(const TaskContent& content);

  // engine_routing.cc
  // The queue of a task that names neither queue nor exchange.
  std::string RuledQueue(const std::string& namespace_name,
                         const std::string& type);
  // Not empty.
  absl::StatusOr<std::set<std::string>> QueuesOfRoute(
      const std::string& namespace_name, const Route& route,
      const std::vector<std::pair<std::string, std::string>>& headers);
  absl::StatusOr<LiveExchange*> ExistingExchange(
      const std::string& namespace_name, const std::string& name);
  absl::Status CheckAlternate(const std::string& namespace_name,
                              const std::string& alternate);
  absl::Status CheckNewBinding(const std::string& namespace_name,
                               const Binding& binding);
  // The queue exists, or is made if it may be made on use.
  absl::Status MakeReachable(const std::string& namespace_name,
                             const std::string& queue);
  // Whether no route rule leads to the queue.
  absl::Status CheckUnused(const Queue& queue);

  // engine_copies.cc
  // Workers that get such a task from a broadcast queue: those that can run it.
  std::set<std::string> SubscribersOf(const Queue& queue,
                                      const std::string& type,
                                      const Placement* placement);
  static absl::Status NoSubscribers(const Queue& queue,
                                    const std::string& type);
  // Whether the submit may make other than one task in the queue of its
  // content.
  bool NeedsRouting(const SubmitCommand& submit);
  // Not empty, by queue and worker.
  absl::Status FindTargets(const SubmitCommand& submit,
                           std::vector<SubmitTarget>* targets);
  absl::Status CheckCopies(const TaskContent& content, size_t copies,
                           CallPlan* call);
  void Aim(const SubmitTarget& target, SubmitCommand* submit);
  // Fills in the queue of a submit that NeedsRouting, and plans its copies, or
  // says in `refusal` why not. Part of PlanSubmit.
  absl::Status PlanRoute(SubmitCommand* submit, CallPlan* call,
                         SubmitPlan* plan, absl::Status* refusal);
  absl::Status AcceptCopies(std::vector<SubmitCommand> copies, bool minted);
  // A submit that NeedsRouting, from its beginning.
  absl::Status SubmitRouted(SubmitCommand submit);
  // The content of a dead letter of `from` is to run again in `target`.
  void AimAgain(const Queue& from, const Queue& target, TaskContent* content);
  // Ends, from `time` on, what waits for workers that are gone then.
  void WantSweep(absl::Time time);
  absl::Status StartSweeps();
  // As JudgeForCancel.
  absl::StatusOr<bool> SweepTask(const CancelJob& job, LiveTask* task);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_ENGINE_IMPL_H_
