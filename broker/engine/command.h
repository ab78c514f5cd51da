#ifndef APIUM_BROKER_ENGINE_COMMAND_H_
#define APIUM_BROKER_ENGINE_COMMAND_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/batch.h"
#include "broker/engine/breaker.h"
#include "broker/engine/dead_letter.h"
#include "broker/engine/limit_command.h"
#include "broker/engine/queue_settings.h"
#include "broker/engine/routing_command.h"
#include "broker/engine/sinks.h"
#include "broker/engine/task.h"
#include "common/fingerprint.h"

// Everything that can be asked of the engine. Names, sizes and ranges are
// validated before a command is made (broker/service); what depends on the
// shard's state is decided by the engine.
namespace apium::broker {

// Makes a request idempotent whose tasks may be without ids of their own: a
// repeated one with the same id and fingerprint is answered as the first; with
// another fingerprint ALREADY_EXISTS / REQUEST_ID_REUSED.
struct RequestIdentity {
  std::string id;
  Fingerprint fingerprint{};  // of what is asked for
};

// Accepts a task. Answered by SubmitReply.
struct SubmitCommand {
  ReplyAddress reply;
  // The engine sets task_id (if empty), create_time, and eta and expire_time
  // from the two durations below.
  std::shared_ptr<TaskContent> content;
  std::optional<absl::Duration> delay;
  std::optional<absl::Duration> expire_after;
  // Also answer OutcomeReply with the same tag when the task has ended.
  bool report_outcome = false;
  std::shared_ptr<const RequestIdentity> request;  // null: none
  // Where it goes, if content->queue is empty; null: as the route rules say.
  std::shared_ptr<const Route> route;
  // What the submitter did not say, so that the queue's defaults are taken.
  struct Unsaid {
    bool priority = false;
    bool retry_policy = false;
    bool result_mode = false;
    bool delivery_mode = false;
  };
  Unsaid unsaid;
};

// Accepts all of the tasks in one turn, or none. Answered by SubmitAllReply.
struct SubmitAllCommand {
  ReplyAddress reply;
  // Not empty, of one namespace. Each without an address, a request, and
  // report_outcome.
  std::vector<SubmitCommand> tasks;
  std::shared_ptr<const RequestIdentity> request;  // null: none
};

// Reads a task. Answered by TaskReply.
struct GetTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
};

// Answered by TaskReply: at once if the task is finished or not known here,
// else when it has ended; DEADLINE_EXCEEDED / WAIT_TIMEOUT at `deadline`.
struct WaitTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
  absl::Time deadline = absl::InfiniteFuture();
};

// Answered by TaskReply at once and after each change; the last is terminal, or
// an error.
struct WatchTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
};

// Answered by FollowReply: at once if there are chunks from that position on,
// or the task has ended or is not known here; else when either is so.
struct FollowTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
  uint64_t from = 1;  // position
};

// The caller of a wait, a watch, or a stream of submits has gone: forget what
// was to be sent to it. Not answered.
struct ForgetSinkCommand {
  std::shared_ptr<ReplySink> sink;
};

// Answered by TaskReply, with the task after the request and `cancelled`.
struct CancelTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
  std::string reason;
};

// Which live tasks are meant. All conditions hold together.
struct TaskFilter {
  std::string namespace_name;
  std::vector<TaskState> states;  // live states only; empty: all live ones
  std::string queue;              // empty: all
  std::string type;               // empty: all
  // Each of them, with this value.
  std::vector<std::pair<std::string, std::string>> headers;
  absl::Time created_after = absl::InfinitePast();     // at or after
  absl::Time created_before = absl::InfiniteFuture();  // before
};

// Cancels tasks, each as CancelTaskCommand does: either those of `task_ids`, at
// once, or those that match `filter`, over many turns; a task accepted after
// this command is never touched, and one that changes its state meanwhile is
// judged by the state in which it is met. Answered by CancelTasksReply when all
// of it is done. RESOURCE_EXHAUSTED / TOO_MANY_CANCELS.
struct CancelTasksCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::vector<std::string> task_ids;
  std::optional<TaskFilter> filter;  // instead of `task_ids`
  std::string reason;
  bool dry_run = false;  // with `filter`: only count
};

// Changes a task that waits; what is unset stays. Answered by TaskReply;
// FAILED_PRECONDITION / TASK_NOT_WAITING.
struct UpdateTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
  std::optional<uint8_t> priority;
  // At most one of these.
  std::optional<absl::Time> eta;
  std::optional<absl::Duration> delay;
  bool run_now = false;
  // At most one of these.
  std::optional<absl::Time> expire_time;  // InfiniteFuture: never
  std::optional<absl::Duration> expire_after;
};

// A finished task is to be forgotten: answered by StatusReply once the result
// service has its outcome and can forget it. FAILED_PRECONDITION / TASK_LIVE;
// NOT_FOUND / TASK_NOT_FOUND: the result service may still know it;
// UNAVAILABLE / RESULTS_UNAVAILABLE: it has not confirmed the outcome by
// `deadline`.
struct ForgetTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
  absl::Time deadline = absl::InfiniteFuture();
};

// Answered by TaskCountsReply.
struct CountTasksCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;  // empty: all
};

// Lists live tasks (leased, then ready, then scheduled, then blocked). Answered
// by TaskPageReply.
struct ListTasksCommand {
  ReplyAddress reply;
  TaskFilter filter;
  uint32_t page_size = 100;
  std::string page_token;  // from a former TaskPageReply; empty: from the start
};

// A worker says hello. Answered by a WorkerPush with SessionOpened or
// SessionClosed to `sink`.
struct OpenSessionCommand {
  std::shared_ptr<WorkerSink> sink;
  std::string namespace_name;
  std::string worker_id;
  std::string session_id;  // to resume; empty: a new one
  std::vector<LeaseName> held_leases;
  std::vector<std::string> task_types;
  std::vector<std::string> queues;      // not empty
  std::vector<uint32_t> queue_weights;  // one for each; empty: all are 1
  std::vector<std::pair<std::string, std::string>> labels;
  uint32_t slots = 0;
  std::string version;
  std::string hostname;
};

// How one attempt ended, as the worker says. See apium.v1.ExecutionOutcome.
struct ExecutionReport {
  enum class Kind : uint8_t {
    kSucceeded,
    kFailed,
    kCancelled,
    kReturned,
    kRetry,
    kCrashed,
  };
  LeaseName lease;
  Kind kind = Kind::kSucceeded;
  absl::Time start_time = absl::InfinitePast();
  Payload result;                              // kSucceeded
  Failure failure;                             // kFailed, kRetry, kCrashed
  std::string reason;                          // kCancelled, kReturned
  absl::Duration retry_delay;                  // kRetry
  std::optional<absl::Duration> return_delay;  // kReturned; none: the engine's
  std::string throttled_limit;  // kReturned; name of a limit, empty: none
};

// See apium.v1.LimitCharge.
struct ChargeReport {
  LeaseName lease;
  std::string limit;
  double points = 0;  // finite
};

struct StartedReport {
  LeaseName lease;
  absl::Time start_time;
};

struct ProgressReport {
  LeaseName lease;
  Progress progress;
};

// See apium.v1.AppendedChunk.
struct ChunkReport {
  LeaseName lease;
  uint64_t number = 0;
  Payload payload;
};

// A worker's message. Extends the session whatever it holds. Refusals and
// acknowledgements go to the session's sink.
struct WorkerReportCommand {
  std::shared_ptr<WorkerSink>
      sink;  // which names the session: a sink that was replaced is ignored
  std::vector<StartedReport> started;
  std::vector<ProgressReport> progress;
  std::vector<ChunkReport> chunks;
  std::vector<ExecutionReport> outcomes;
  std::vector<ChargeReport> charges;
  uint32_t credit = 0;
  bool draining = false;
};

// The stream broke or ended: the session keeps its leases for the grace period.
struct SessionDisconnectedCommand {
  std::shared_ptr<WorkerSink> sink;
};

// Answered by WorkersReply.
struct ListWorkersCommand {
  ReplyAddress reply;
  std::string namespace_name;
};

// Answered by StatusReply: NOT_FOUND / WORKER_NOT_FOUND, or OK once the command
// is on its way to the worker.
struct DrainWorkerCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string worker_id;
};

// Answered by QueueReply. ALREADY_EXISTS / QUEUE_EXISTS.
struct CreateQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  QueueSettings settings;
};

// Answered by QueueReply. What is unset stays. Pause and resume are updates,
// too.
struct UpdateQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  std::string etag;  // empty: whatever it is
  std::optional<std::string> description;
  std::optional<bool> paused;
  std::optional<bool> submit_paused;
  std::optional<bool> dead_letter;
  std::optional<uint32_t> weight;
  std::optional<uint64_t> max_length;
  std::optional<uint64_t> max_bytes;
  std::optional<OverflowPolicy> overflow_policy;
  std::optional<TaskDefaults> task_defaults;
  std::optional<FairnessMode> fairness_mode;
  std::optional<absl::Duration> priority_aging;
  std::optional<std::map<std::string, double>> fairness_weights;
  // With `paused` true.
  std::string paused_by;
  std::string pause_reason;
};

// Answered by QueueReply.
struct GetQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Answered by QueuePageReply.
struct ListQueuesCommand {
  ReplyAddress reply;
  std::string namespace_name;
  uint32_t page_size = 100;
  std::string page_token;  // name of the last queue of the page before; empty:
                           // from the start
};

// Answered by StatusReply.
struct DeleteQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Answered by PurgeReply when every task that waited is cancelled; carried out
// over many turns.
struct PurgeQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Answered by DeadLetterPageReply.
struct ListDeadLettersCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  uint32_t page_size = 100;
  std::string page_token;  // the page is behind this id; empty: from the start
  DeadLetterFilter filter;
};

// Answered by DeadLetterReply.
struct GetDeadLetterCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  std::string task_id;
};

// Answered by SubmitReply. What is unset stays.
struct RedriveDeadLetterCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  std::string task_id;
  std::optional<Payload> payload;
  std::string type;          // empty: unset
  std::string target_queue;  // empty: the one that the letter is in
  std::optional<uint8_t> priority;
  std::optional<RetryPolicy> retry_policy;
};

// Answered by StatusReply.
struct DiscardDeadLetterCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  std::string task_id;
};

// Answered by PurgeReply when every letter that was there is gone; carried out
// over many turns.
struct PurgeDeadLettersCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Answered by RedriveReply: at once, or, where it is dry, when all are counted.
struct StartRedriveCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  DeadLetterFilter filter;
  double max_per_second = 0;
  std::string target_queue;
  bool dry_run = false;
};

// Answered by RedriveReply.
struct GetRedriveCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Answered by RedriveReply.
struct CancelRedriveCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Sets the breaker of a type, or removes it. Answered by BreakerReply.
struct SetBreakerCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string type;
  std::optional<BreakerSettings> settings;  // unset: remove it
};

// Answered by BreakerReply.
struct GetBreakerCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string type;
};

// Answered by BreakersReply.
struct ListBreakersCommand {
  ReplyAddress reply;
  std::string namespace_name;
};

// Answered by BreakerReply.
struct ResetBreakerCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string type;
};

// Answered by BatchReply. ALREADY_EXISTS / BATCH_ID_REUSED where the id is
// known with another fingerprint.
struct CreateBatchCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string batch_id;  // empty: the engine mints one
  std::string description;
  std::shared_ptr<const BatchCallbacks> callbacks;  // not null
  Fingerprint fingerprint{};
};

// Answered by BatchReply.
struct CloseBatchCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string batch_id;
};

// Answered by BatchReply.
struct GetBatchCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string batch_id;
};

// Answered by BatchPageReply.
struct ListBatchesCommand {
  ReplyAddress reply;
  std::string namespace_name;
  uint32_t page_size = 100;
  std::string page_token;  // the page is behind this id; empty: from the start
};

// The tasks at the head of a queue. Answered by TaskPageReply.
struct PeekQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  uint32_t max_tasks = 10;
};

// Why tasks of a queue wait. Answered by ExplainReply.
struct ExplainQueueCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
};

// Why a task waits. Answered by ExplainReply.
struct ExplainTaskCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string task_id;
};

// Answered by StatusReply.
struct ReleaseOrderingKeyCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string queue;
  std::string ordering_key;
};

// The result service has everything up to `position`. Not answered.
struct OutboxConfirmedCommand {
  uint64_t position = 0;
};

// From now on submits are answered with `refusal` (disk low, shutting down); OK
// accepts them again. Not answered.
struct SetAdmissionCommand {
  absl::Status refusal;
};

// Answered by StatsReply.
struct GetStatsCommand {
  ReplyAddress reply;
};

using Command = std::variant<
    SubmitCommand, WorkerReportCommand, GetTaskCommand, WaitTaskCommand,
    WatchTaskCommand, ForgetSinkCommand, CancelTaskCommand, ListTasksCommand,
    OpenSessionCommand, SessionDisconnectedCommand, ListWorkersCommand,
    DrainWorkerCommand, CreateQueueCommand, UpdateQueueCommand, GetQueueCommand,
    ListQueuesCommand, DeleteQueueCommand, PurgeQueueCommand,
    OutboxConfirmedCommand, SetAdmissionCommand, GetStatsCommand,
    CreateBatchCommand, CloseBatchCommand, GetBatchCommand, ListBatchesCommand,
    CancelTasksCommand, UpdateTaskCommand, ForgetTaskCommand, CountTasksCommand,
    FollowTaskCommand, ListDeadLettersCommand, GetDeadLetterCommand,
    RedriveDeadLetterCommand, DiscardDeadLetterCommand, PurgeDeadLettersCommand,
    StartRedriveCommand, GetRedriveCommand, CancelRedriveCommand,
    SetBreakerCommand, GetBreakerCommand, ListBreakersCommand,
    ResetBreakerCommand, SubmitAllCommand, PeekQueueCommand,
    ExplainQueueCommand, ExplainTaskCommand, ReleaseOrderingKeyCommand,
    CreateExchangeCommand, GetExchangeCommand, ListExchangesCommand,
    UpdateExchangeCommand, DeleteExchangeCommand, CreateBindingCommand,
    DeleteBindingCommand, ListBindingsCommand, SetRouteRulesCommand,
    GetRouteRulesCommand, ResolveRouteCommand, CreateLimitCommand,
    GetLimitCommand, ListLimitsCommand, UpdateLimitCommand, DeleteLimitCommand,
    ListLimitUsageCommand, PauseLimitKeyCommand>;

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_COMMAND_H_
