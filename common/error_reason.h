// Machine-readable facts about an error, carried by absl::Status as payloads.
//
// The payloads are keyed by the type URLs of google.rpc (ErrorInfo, BadRequest,
// RetryInfo) and hold those messages' bytes, so that common/rpc/grpc_status
// only has to move them to and from the wire. A message text may change between
// versions, a reason may not: clients compare reasons. All functions are safe
// on any thread.

#ifndef APIUM_COMMON_ERROR_REASON_H_
#define APIUM_COMMON_ERROR_REASON_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace apium {

// The `domain` of every ErrorInfo that Apium makes.
inline constexpr std::string_view kErrorDomain = "apium.dev";

// Reasons that more than one place gives or compares. A reason matches
// ^[A-Z][A-Z0-9_]*[A-Z0-9]$ and has at most 63 characters.
namespace reason {
inline constexpr std::string_view kInvalidField =
    "INVALID_FIELD";  // INVALID_ARGUMENT
inline constexpr std::string_view kPayloadTooLarge =
    "PAYLOAD_TOO_LARGE";  // INVALID_ARGUMENT
inline constexpr std::string_view kNamespaceNotFound =
    "NAMESPACE_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kQueueNotFound =
    "QUEUE_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kTaskNotFound =
    "TASK_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kTaskLive =
    "TASK_LIVE";  // FAILED_PRECONDITION: it has not ended
inline constexpr std::string_view kTaskNotWaiting =
    "TASK_NOT_WAITING";  // FAILED_PRECONDITION: a worker has it, or it ended
inline constexpr std::string_view kTaskIdReused =
    "TASK_ID_REUSED";  // ALREADY_EXISTS: same id, other content
inline constexpr std::string_view kUniqueKeyHeld =
    "UNIQUE_KEY_HELD";  // ALREADY_EXISTS: by the task that the error names
inline constexpr std::string_view kRequestIdReused =
    "REQUEST_ID_REUSED";  // ALREADY_EXISTS: same id, other content
inline constexpr std::string_view kBatchNotFound =
    "BATCH_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kDeadLetterNotFound =
    "DEAD_LETTER_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kRedriveNotFound =
    "REDRIVE_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kBreakerNotFound =
    "BREAKER_NOT_FOUND";  // NOT_FOUND
inline constexpr std::string_view kQueueExists =
    "QUEUE_EXISTS";  // ALREADY_EXISTS
inline constexpr std::string_view kLeaseLost =
    "LEASE_LOST";  // FAILED_PRECONDITION: old epoch
inline constexpr std::string_view kTaskFinished =
    "TASK_FINISHED";  // FAILED_PRECONDITION: terminal state
inline constexpr std::string_view kQueueNotEmpty =
    "QUEUE_NOT_EMPTY";  // FAILED_PRECONDITION
inline constexpr std::string_view kQueueFull =
    "QUEUE_FULL";  // RESOURCE_EXHAUSTED: max_length or max_bytes of a queue
inline constexpr std::string_view kOrderingKeyNotBlocked =
    "ORDERING_KEY_NOT_BLOCKED";  // FAILED_PRECONDITION
inline constexpr std::string_view kBacklogFull =
    "BACKLOG_FULL";  // RESOURCE_EXHAUSTED: a limit on tasks
inline constexpr std::string_view kBrokerBusy =
    "BROKER_BUSY";  // RESOURCE_EXHAUSTED: mailbox full
inline constexpr std::string_view kChunkLimit =
    "CHUNK_LIMIT";  // RESOURCE_EXHAUSTED: size or number of chunks
inline constexpr std::string_view kShuttingDown =
    "SHUTTING_DOWN";  // UNAVAILABLE
inline constexpr std::string_view kStoreFailed =
    "STORE_FAILED";  // UNAVAILABLE: the shard has stopped
inline constexpr std::string_view kResultsUnavailable =
    "RESULTS_UNAVAILABLE";  // UNAVAILABLE
inline constexpr std::string_view kAddressInUse =
    "ADDRESS_IN_USE";  // UNAVAILABLE
inline constexpr std::string_view kDataDirLocked =
    "DATA_DIR_LOCKED";  // FAILED_PRECONDITION
inline constexpr std::string_view kStoreTooNew =
    "STORE_TOO_NEW";  // FAILED_PRECONDITION
inline constexpr std::string_view kStoreCorrupt = "STORE_CORRUPT";  // DATA_LOSS
inline constexpr std::string_view kNotImplemented =
    "NOT_IMPLEMENTED";  // UNIMPLEMENTED
inline constexpr std::string_view kProtocolViolation =
    "PROTOCOL_VIOLATION";  // INVALID_ARGUMENT: wrong message on a stream
}  // namespace reason

using ErrorMetadata = std::vector<std::pair<std::string, std::string>>;

// Each With* function returns `status` with one more fact, and an OK status
// unchanged. Texts that came from outside are made valid UTF-8 and cut at 256
// bytes, because they travel in a gRPC trailer of at most 8 KiB.

// Sets the reason, replacing an earlier one. `reason` must be well formed
// (APIUM_CHECK).
absl::Status WithReason(absl::Status status, std::string_view reason,
                        const ErrorMetadata& metadata = {});

// Adds a violated field. `field` is a path as in "task.options.priority". At
// most 16 are kept.
absl::Status WithFieldViolation(absl::Status status, std::string_view field,
                                std::string_view description);

// The same error as part of a larger request: where a violated field, or the
// message, begins with the path `root`, it begins with `new_root` from here on:
// "spec.queue" becomes "specs[3].queue".
absl::Status WithFieldRoot(const absl::Status& status, std::string_view root,
                           std::string_view new_root);

// Says that the caller should try again after `delay` (>= 0), replacing an
// earlier delay.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

// INVALID_ARGUMENT "<field>: <description>" with reason INVALID_FIELD and the
// violation.
absl::Status InvalidField(std::string_view field, std::string_view description);

// UNIMPLEMENTED with reason NOT_IMPLEMENTED. `what` is a noun: "watching a
// task".
absl::Status NotImplemented(std::string_view what);

// The reason, or empty.
std::string ReasonOf(const absl::Status& status);
// The metadata of the reason, sorted by key.
ErrorMetadata ReasonMetadataOf(const absl::Status& status);
// Violated fields as {field, description}, in the order they were added.
std::vector<std::pair<std::string, std::string>> FieldViolationsOf(
    const absl::Status& status);
std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

}  // namespace apium

#endif  // APIUM_COMMON_ERROR_REASON_H_
