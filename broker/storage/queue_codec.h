#ifndef APIUM_BROKER_STORAGE_QUEUE_CODEC_H_
#define APIUM_BROKER_STORAGE_QUEUE_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/queue_settings.h"

namespace apium::broker {

// What a queue's row holds.
struct StoredQueue {
  uint32_t queue_id = 0;
  QueueSettings settings;
  std::string paused_by;
  std::string pause_reason;
  absl::Time pause_time = absl::InfinitePast();  // InfinitePast: not known
  uint64_t revision = 1;
  absl::Time create_time;
};
std::string EncodeQueue(const StoredQueue& queue);
absl::StatusOr<StoredQueue> DecodeQueue(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_QUEUE_CODEC_H_
