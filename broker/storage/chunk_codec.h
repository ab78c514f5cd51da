#ifndef APIUM_BROKER_STORAGE_CHUNK_CODEC_H_
#define APIUM_BROKER_STORAGE_CHUNK_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/task.h"

// Values of the rows that running tasks leave behind, as record_codec.h: chunks
// and their head, and the last details of a task's progress.
namespace apium::broker {

// What is known of all chunks of a task; one row, put once a turn at most.
struct StoredChunkHead {
  absl::Time create_time;  // of the task: tells it from another of the same id
  uint64_t count = 0;      // positions given so far
  uint64_t bytes = 0;      // of their payloads
  uint32_t attempt = 0;    // that appended last
  uint64_t number = 0;     // of that attempt's last chunk
  int64_t delete_millis = 0;  // 0: the task has not ended
  uint64_t deleted = 0;       // positions that are deleted already
};
std::string EncodeChunkHead(const StoredChunkHead& head);
absl::StatusOr<StoredChunkHead> DecodeChunkHead(std::string_view value);

std::string EncodeChunk(const TaskChunk& chunk);
// `position` as in the row's key.
absl::StatusOr<TaskChunk> DecodeChunk(uint64_t position,
                                      std::string_view value);

std::string EncodeDetails(const Payload& details);
absl::StatusOr<Payload> DecodeDetails(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_CHUNK_CODEC_H_
