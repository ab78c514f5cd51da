#ifndef APIUM_BROKER_STORAGE_RECORD_CODEC_H_
#define APIUM_BROKER_STORAGE_RECORD_CODEC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/task.h"

// Values of the broker's rows: the engine's structs <-> apium.storage.v1.
// Decoders answer DATA_LOSS for what no encoder writes. Any thread.
namespace apium::broker {

// What the task row of a live task holds.
struct StoredTask {
  std::shared_ptr<const TaskContent> content;
  bool minted = false;
  TaskState state = TaskState::kQueued;  // kQueued, kScheduled or kBlocked
  // kQueued: of the chunk that lists it. kScheduled: a ticket of when it began
  // to wait.
  uint64_t ready_sequence = 0;
  int64_t due_millis = 0;  // kScheduled
  uint32_t attempt = 0;
  uint32_t failures = 0;
  uint32_t crashes = 0;
  uint32_t returns = 0;
  uint64_t last_epoch = 0;
  bool cancel_requested = false;
  std::string cancel_reason;
  bool has_last_failure = false;
  Failure last_failure;
  // Runs alone until an attempt of it ends other than with a crash.
  bool suspect = false;
  TaskHistory history;
  // Of these two the row is exact while the task is not leased; else their own
  // rows are.
  uint64_t chunks = 0;       // positions given so far
  bool has_details = false;  // of its progress
  // Further tasks that routing made of the same submit (copy_task_id.h).
  uint32_t copies = 0;
};

// What the task row of a finished task holds: enough to know a repeated submit,
// and where the outcome is.
//   finished := 0x02 state:8 keep_until_millis:64 outbox_position:64
//   create_nanos:64 fingerprint:128 [copies:64]
struct FinishedTask {
  TaskState state = TaskState::kSucceeded;
  int64_t keep_until_millis =
      0;  // then the id is forgotten, once the outcome is confirmed
  uint64_t outbox_position = 0;  // 0: the outcome was not to be kept
  absl::Time create_time;
  Fingerprint fingerprint;
  uint32_t copies = 0;  // as StoredTask; stored where there are any
};

// A task row's value is one of the two; the first byte tells which (0x01 live,
// 0x02 finished).
void EncodeTaskRow(const StoredTask& task, std::string* value);
void EncodeTaskRow(const FinishedTask& task, std::string* value);
bool IsFinishedTaskRow(std::string_view value);
// `task_key` as in the row's key, for the namespace and id of the content.
absl::StatusOr<StoredTask> DecodeLiveTaskRow(std::string_view task_key,
                                             std::string_view value);
absl::StatusOr<FinishedTask> DecodeFinishedTaskRow(std::string_view value);

std::string EncodeReadyChunk(const std::vector<std::string_view>& task_keys);
absl::StatusOr<std::vector<std::string>> DecodeReadyChunk(
    std::string_view value);

struct LanePosition {
  uint64_t count = 0;
  uint64_t head_sequence = 0;
  std::shared_ptr<const Placement> lane_class;  // null: none
};
std::string EncodeLane(const LanePosition& lane);
absl::StatusOr<LanePosition> DecodeLane(std::string_view value);

struct StoredLease {
  std::string task_key;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
  std::string session_id;
  std::string worker_id;
};
struct StoredLeases {
  absl::Time grant_time;  // of all
  std::vector<StoredLease> leases;
};
// What is written of a lease; as StoredLease.
struct JournalledLease {
  std::string_view task_key;
  uint32_t attempt = 0;
  uint64_t epoch = 0;
  std::string_view session_id;
  std::string_view worker_id;
};
std::string EncodeLeaseJournal(absl::Time grant_time,
                               const std::vector<JournalledLease>& leases);
absl::StatusOr<StoredLeases> DecodeLeaseJournal(std::string_view value);

std::string EncodeOutboxRow(
    const std::vector<std::shared_ptr<const Outcome>>& outcomes);
absl::StatusOr<std::vector<std::shared_ptr<const Outcome>>> DecodeOutboxRow(
    std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_RECORD_CODEC_H_
