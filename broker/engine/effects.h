#ifndef APIUM_BROKER_ENGINE_EFFECTS_H_
#define APIUM_BROKER_ENGINE_EFFECTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/batch.h"
#include "broker/engine/breaker.h"
#include "broker/engine/dead_letter.h"
#include "broker/engine/engine_stats.h"
#include "broker/engine/limit.h"
#include "broker/engine/queue_settings.h"
#include "broker/engine/routing.h"
#include "broker/engine/sinks.h"
#include "broker/engine/task.h"
#include "broker/engine/wait_reason.h"
#include "storage/store_batch.h"

// What the world must do after a turn of the engine.
namespace apium::broker {

struct SubmitReply {
  absl::Status status;
  std::string task_id;  // empty unless accepted
  bool minted = false;  // the broker chose the id
  absl::Time create_time;
  // No task was made: the id is that of the task that holds the unique key.
  bool attached = false;
  // Further tasks that routing made of it.
  std::vector<std::string> copy_task_ids;
};

// Every task of a SubmitAllCommand was accepted, or none.
struct SubmitAllReply {
  absl::Status status;           // why it was refused
  std::optional<size_t> failed;  // the number, from 0, of the task that is the
                                 // reason; none: the call as a whole
  std::vector<SubmitReply> tasks;  // in order; empty if refused
};

// The task of an earlier SubmitCommand with report_outcome has ended.
struct OutcomeReply {
  // Null: it had ended before the (repeated) submit, and the result service has
  // the outcome.
  std::shared_ptr<const Outcome> outcome;
};

// Exactly one of: an error in `status`; `task`; or `elsewhere`: not live here,
// ask the result service.
struct TaskReply {
  enum class Elsewhere : uint8_t {
    kNo,
    kFinished,  // it is finished and the result service has confirmed its
                // outcome
    kUnknown,   // not known here (any more): the result service may still have
                // it
  };
  absl::Status status;
  TaskSnapshot task;
  Elsewhere elsewhere = Elsewhere::kNo;
  // What a CancelTaskCommand did, as far as this shard knows the task.
  CancelResult cancelled = CancelResult::kNotFound;
};

struct CancelTasksReply {
  absl::Status status;
  // One for each id of the command. kNotFound: not known here (any more), the
  // result service may still have it.
  std::vector<CancelResult> results;
  // By filter: how many.
  uint64_t cancelled = 0;
  uint64_t requested = 0;
};

// Tasks of one queue.
struct TaskCounts {
  std::string queue;
  uint64_t blocked = 0;
  uint64_t scheduled = 0;
  uint64_t queued = 0;
  uint64_t leased = 0;   // not yet running
  uint64_t started = 0;  // running
  EndCounts ended;       // since the queue was made
  uint64_t dead_letters = 0;
};

struct TaskCountsReply {
  absl::Status status;
  std::vector<TaskCounts> queues;  // by name
};

// A page of a task's chunks. `chunks` empty: ask again, for there is more now;
// or with `ended`: there is no more and will not be.
struct FollowReply {
  absl::Status status;
  std::vector<TaskChunk> chunks;  // in order, without gaps
  bool ended = false;
  TaskReply task;  // with `ended`: as WaitTaskCommand answers
};

struct TaskPageReply {
  absl::Status status;
  std::vector<TaskSnapshot> tasks;
  std::string next_page_token;  // empty: no more live tasks
};

struct StatusReply {
  absl::Status status;
};

struct WorkerInfo {
  std::string worker_id;
  std::string session_id;
  bool connected = false;
  bool draining = false;
  uint32_t slots = 0;
  uint32_t credit = 0;
  uint32_t leases = 0;
  std::vector<std::string> task_types;
  std::vector<std::string> queues;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string version;
  std::string hostname;
  absl::Time connect_time;
  absl::Time last_seen_time;
};

struct WorkersReply {
  absl::Status status;
  std::vector<WorkerInfo> workers;  // by worker id
};

struct QueueInfo {
  std::string name;
  QueueSettings settings;
  std::string paused_by;
  std::string pause_reason;
  absl::Time pause_time = absl::InfinitePast();  // InfinitePast: it is not
  std::string etag;
  absl::Time create_time;
  uint64_t ready = 0;
  uint64_t scheduled = 0;
  uint64_t leased = 0;
  uint64_t blocked = 0;
  uint64_t dead_letters = 0;
  uint32_t workers = 0;
  absl::Duration oldest_ready_age =
      absl::InfiniteDuration();  // Infinite: none is ready
};

struct QueueReply {
  absl::Status status;
  QueueInfo queue;
};

struct QueuePageReply {
  absl::Status status;
  std::vector<QueueInfo> queues;
  std::string next_page_token;
};

struct PurgeReply {
  absl::Status status;
  uint64_t purged = 0;
};

struct BatchReply {
  absl::Status status;
  BatchInfo batch;
};

struct BatchPageReply {
  absl::Status status;
  std::vector<BatchInfo> batches;  // by id, without callbacks
  std::string next_page_token;
};

struct DeadLetterPageReply {
  absl::Status status;
  std::vector<std::shared_ptr<const DeadLetter>> dead_letters;  // by id
  std::string next_page_token;
};

struct DeadLetterReply {
  absl::Status status;
  std::shared_ptr<const DeadLetter> dead_letter;
};

struct RedriveReply {
  absl::Status status;
  Redrive redrive;
};

struct BreakerReply {
  absl::Status status;
  bool removed = false;
  BreakerInfo breaker;  // unless it was removed
};

struct BreakersReply {
  absl::Status status;
  std::vector<BreakerInfo> breakers;  // by type
};

struct ExplainReply {
  absl::Status status;
  TaskState state = TaskState::kQueued;  // of a task
  std::vector<WaitReason> reasons;
  // A task that is not known here (any more): as TaskReply.
  TaskReply::Elsewhere elsewhere = TaskReply::Elsewhere::kNo;
};

struct ExchangeReply {
  absl::Status status;
  Exchange exchange;
};

struct ExchangePageReply {
  absl::Status status;
  std::vector<Exchange> exchanges;  // by name
  std::string next_page_token;
};

struct BindingPageReply {
  absl::Status status;
  std::vector<Binding> bindings;  // in order
  std::string next_page_token;
};

struct RouteRulesReply {
  absl::Status status;
  std::vector<RouteRule> rules;
  std::string etag;
};

struct ResolveRouteReply {
  absl::Status status;
  std::vector<std::string> queues;  // by name
};

struct LimitReply {
  absl::Status status;
  Limit limit;
};

struct LimitPageReply {
  absl::Status status;
  std::vector<Limit> limits;  // by name
  std::string next_page_token;
};

struct LimitUsageReply {
  absl::Status status;
  std::vector<LimitUsage> usage;  // by key
  std::string next_page_token;
};

struct StatsReply {
  EngineStats stats;
};

struct Reply {
  std::variant<SubmitReply, OutcomeReply, TaskReply, TaskPageReply, StatusReply,
               WorkersReply, QueueReply, QueuePageReply, PurgeReply, StatsReply,
               BatchReply, BatchPageReply, FollowReply, DeadLetterPageReply,
               DeadLetterReply, RedriveReply, BreakerReply, BreakersReply,
               CancelTasksReply, TaskCountsReply, SubmitAllReply, ExplainReply,
               ExchangeReply, ExchangePageReply, BindingPageReply,
               RouteRulesReply, ResolveRouteReply, LimitReply, LimitPageReply,
               LimitUsageReply>
      body;
};

struct AddressedReply {
  ReplyAddress to;
  Reply reply;
};

// The session is open. First push of a session.
struct SessionOpened {
  std::string session_id;
  bool resumed = false;
  std::vector<uint64_t> lost_epochs;
};

// The stream is to be ended with `status`. Last push of a stream.
struct SessionClosed {
  absl::Status status;
};

// A task for the worker; its credit is already spent.
struct Delivery {
  std::shared_ptr<const TaskContent> content;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
  uint32_t failures = 0;
  uint32_t crashes = 0;
  // From earlier attempts.
  std::shared_ptr<const Payload> details;  // null: none were said
  uint64_t chunks = 0;
};

// The outcome that the worker reported is durable.
struct OutcomeAcknowledged {
  uint64_t epoch = 0;
};

// Chunks of an attempt up to `number` are durable; with an error: those that
// were not acknowledged before are refused, and so is what follows them.
struct ChunksAcknowledged {
  uint64_t epoch = 0;
  uint64_t number = 0;
  absl::Status status;
};

// A report that changed nothing.
struct ReportRefused {
  uint64_t epoch = 0;
  absl::Status status;
};

// The attempt is to stop.
struct CancelDelivery {
  LeaseName lease;
  std::string reason;
};

// The worker is to drain.
struct DrainSession {
  uint64_t control_id = 0;
};

struct WorkerPush {
  std::variant<Delivery, OutcomeAcknowledged, ReportRefused, CancelDelivery,
               SessionOpened, SessionClosed, DrainSession, ChunksAcknowledged>
      body;
};

struct AddressedPush {
  std::shared_ptr<WorkerSink> to;
  WorkerPush push;
};

// One outbox row: outcomes that one turn decided.
struct OutboxEntry {
  uint64_t position = 0;  // from 1, without gaps
  std::vector<std::shared_ptr<const Outcome>> outcomes;
};

// The effects of one turn. `writes` are to be applied to the store before the
// engine's next turn (the engine reads its own writes through the store);
// `replies`, `pushes` and `outbox` may be released only after `writes` of this
// turn and of every earlier turn are synced, in the order of the turns.
struct Effects {
  StoreBatch writes;
  std::vector<AddressedReply> replies;
  std::vector<AddressedPush> pushes;
  std::vector<OutboxEntry> outbox;
  // Of tasks that ended and are not to be kept (ResultMode): for who follows
  // what the engine decides, as tests do.
  std::vector<std::shared_ptr<const Outcome>> unpublished;

  void Clear() {
    writes.Clear();
    replies.clear();
    pushes.clear();
    outbox.clear();
    unpublished.clear();
  }
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_EFFECTS_H_
