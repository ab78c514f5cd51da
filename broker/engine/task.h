#ifndef APIUM_BROKER_ENGINE_TASK_H_
#define APIUM_BROKER_ENGINE_TASK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/placement.h"
#include "common/fingerprint.h"

// What the engine knows of a task. The engine's own structs: apium.v1 is what
// travels, apium.storage.v1 what is stored.
namespace apium::broker {

// As apium.v1.TaskState, with the same numbers. See docs/task_states.md.
enum class TaskState : uint8_t {
  kBlocked = 1,
  kScheduled = 2,
  kQueued = 3,
  kLeased = 4,
  kStarted = 5,
  kSucceeded = 6,
  kFailed = 7,
  kCancelled = 8,
  kExpired = 9,
  kDeadLettered = 10,
};

constexpr bool IsTerminal(TaskState state) {
  return state >= TaskState::kSucceeded;
}

// Opaque to the broker.
struct Payload {
  std::string data;
  std::string content_type;
  std::string content_encoding;
};

// Why an attempt did not succeed. As apium.v1.Failure.
struct Failure {
  std::string type;
  std::string message;
  std::string stack;
  bool non_retryable = false;
};

// As apium.v1.RetryPolicy, defaults filled in.
struct RetryPolicy {
  uint32_t max_attempts = 4;
  absl::Duration initial_delay = absl::Seconds(1);
  double multiplier = 2;
  absl::Duration max_delay = absl::Minutes(10);
  double jitter = 0.2;
  std::vector<std::string> non_retryable_types;
  uint32_t max_crashes = 5;
  uint32_t max_returns = 1000;
  absl::Duration total_time_limit = absl::InfiniteDuration();

  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

// As apium.v1.UniqueConflict, with the same numbers.
enum class UniqueConflict : uint8_t {
  kReject = 1,
  kAttach = 2,
  kReplace = 3,
  kDebounce = 4,
  kThrottle = 5,
  kKeepLatest = 6,
};

// As apium.v1.UniqueScope, with the same numbers.
enum class UniqueScope : uint8_t {
  kUntilEnd = 1,
  kUntilStart = 2,
  kWindow = 3
};

// As apium.v1.Unique, defaults filled in.
struct Unique {
  std::string key;
  UniqueScope scope = UniqueScope::kUntilEnd;
  absl::Duration window = absl::ZeroDuration();
  UniqueConflict on_conflict = UniqueConflict::kReject;
};

// As apium.v1.ResultMode, with the same numbers.
enum class ResultMode : uint8_t { kKeep = 1, kKeepFailures = 2, kIgnore = 3 };

// As apium.v1.DeliveryMode, with the same numbers.
enum class DeliveryMode : uint8_t { kAtLeastOnce = 1, kAtMostOnce = 2 };

// What a cancel did. As apium.v1.CancelResult, with the same numbers.
enum class CancelResult : uint8_t {
  kCancelled = 1,
  kRequested = 2,
  kAlreadyEnded = 3,
  kNotFound = 4,
};

// Tasks that ended, by how.
struct EndCounts {
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  uint64_t cancelled = 0;
  uint64_t expired = 0;
  uint64_t dead_lettered = 0;
};

// What was asked for. Immutable once the engine has accepted it, and shared
// with deliveries that are on their way.
struct TaskContent {
  std::string namespace_name;
  std::string task_id;  // empty in a Submit: the engine mints one
  std::string type;
  std::string queue;
  uint8_t priority = 100;
  Payload payload;
  std::vector<std::pair<std::string, std::string>> headers;  // sorted by name
  RetryPolicy retry_policy;
  absl::Time eta = absl::InfinitePast();            // never dispatched before
  absl::Time expire_time = absl::InfiniteFuture();  // never started after
  absl::Duration result_ttl =
      absl::ZeroDuration();  // 0: the result service's default
  absl::Duration soft_time_limit = absl::ZeroDuration();  // 0: none
  std::shared_ptr<const Unique> unique;                   // null: none
  std::shared_ptr<const Placement> placement;             // null: none
  ResultMode result_mode = ResultMode::kKeep;
  DeliveryMode delivery_mode = DeliveryMode::kAtLeastOnce;
  std::string batch_id;       // empty: none
  absl::Time create_time;     // set by the engine
  Fingerprint fingerprint{};  // of what the submitter sent; equal means "the
                              // same content"
};

// How far a running task says that it is.
struct Progress {
  double completed = 0;
  double total = 0;
  std::string message;
  std::string state;
  std::shared_ptr<const Payload> details;  // null: none were said
};

// Something that a running task appended. As apium.v1.TaskChunk.
struct TaskChunk {
  uint64_t position = 0;  // from 1, over all attempts
  uint32_t attempt = 0;
  absl::Time time;
  Payload payload;
};

// As apium.v1.TaskEventKind, with the same numbers.
enum class TaskEventKind : uint8_t {
  kSubmitted = 1,
  kLeased = 2,
  kStarted = 3,
  kRetried = 4,
  kCrashed = 5,
  kReturned = 6,
  kCancelRequested = 7,
  kUpdated = 8,
  kUnblocked = 9,
  kEnded = 10,
};

// As apium.v1.TaskEvent.
struct TaskEvent {
  TaskEventKind kind = TaskEventKind::kSubmitted;
  absl::Time time;
  TaskState state = TaskState::kQueued;
  uint32_t attempt = 0;
  std::string worker_id;
  // Of the attempt that the event ended; InfinitePast: it ended none, or the
  // attempt had not begun to run.
  absl::Time lease_time = absl::InfinitePast();
  absl::Time start_time = absl::InfinitePast();
  std::shared_ptr<const Failure> failure;  // null: none
  std::string detail;
};

// What happened to a task apart from submit, last attempt and end, which the
// task says itself: a task that runs once has no events. Oldest first; bounded
// (see task_history.h).
struct TaskHistory {
  std::vector<TaskEvent> events;
  uint32_t dropped = 0;
};

// Names one lease. `epoch` alone is unique in the shard; the rest is checked
// against it.
struct LeaseName {
  std::string task_id;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
};

// How a task ended. Never changes; published through the outbox. As
// apium.v1.TaskOutcome.
struct Outcome {
  std::string namespace_name;
  std::string task_id;
  std::string type;
  std::string queue;
  uint8_t priority = 0;
  TaskState state = TaskState::kSucceeded;
  Payload result;
  bool has_failure = false;
  Failure failure;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
  uint32_t failures = 0;
  uint32_t crashes = 0;
  absl::Time create_time;
  absl::Time start_time =
      absl::InfinitePast();  // InfinitePast: it never started
  absl::Time finish_time;
  std::string worker_id;
  absl::Duration result_ttl = absl::ZeroDuration();
  uint32_t returns = 0;
  absl::Time lease_time =
      absl::InfinitePast();  // of the last attempt; InfinitePast: none
  TaskHistory history;
  std::vector<std::pair<std::string, std::string>> headers;
  ResultMode result_mode = ResultMode::kKeep;
  uint64_t chunks = 0;
  std::shared_ptr<const Payload> details;  // null: none were said
};

// A task as readers see it. Cheap to make: content and outcome are shared.
struct TaskSnapshot {
  std::shared_ptr<const TaskContent>
      content;  // null where the task is finished: see `outcome`
  TaskState state = TaskState::kQueued;
  absl::Time schedule_time = absl::InfinitePast();
  uint32_t attempt = 0;
  uint32_t failures = 0;
  uint32_t crashes = 0;
  uint32_t returns = 0;
  uint64_t epoch = 0;
  std::string worker_id;
  absl::Time start_time = absl::InfinitePast();
  Progress progress;
  bool cancel_requested = false;
  std::string waiting_reason;
  bool has_last_failure = false;
  Failure last_failure;
  absl::Time lease_time =
      absl::InfinitePast();  // of the current lease; InfinitePast: none
  TaskHistory history;
  bool suspect = false;
  uint64_t chunks = 0;
  std::shared_ptr<const Outcome> outcome;  // set in terminal states only
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_H_
