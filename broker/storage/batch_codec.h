#ifndef APIUM_BROKER_STORAGE_BATCH_CODEC_H_
#define APIUM_BROKER_STORAGE_BATCH_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/batch.h"
#include "common/fingerprint.h"

// Values of the two rows of a batch, as record_codec.h. What changes with every
// member is apart from the callbacks, whose payloads may be large:
//
//   state row value     := keep_until_millis:64 BatchRecord
//   callbacks row value := keep_until_millis:64 BatchCallbacksRecord
//
// The time comes first for the compaction filter; kKeepBatch until the batch is
// complete.
namespace apium::broker {

inline constexpr int64_t kKeepBatch = INT64_MAX;

// What the state row of a batch holds.
struct StoredBatch {
  struct Callback {
    bool wanted = false;
    std::string task_id;  // empty: not submitted
  };
  std::string description;
  bool closed = false;
  uint64_t members = 0;
  uint64_t succeeded = 0;
  uint64_t unsuccessful = 0;
  absl::Time create_time;
  // InfiniteFuture: it is not complete.
  absl::Time complete_time = absl::InfiniteFuture();
  int64_t keep_until_millis = kKeepBatch;
  Fingerprint fingerprint;
  PerBatchEvent<Callback> callbacks;

  uint64_t pending() const { return members - succeeded - unsuccessful; }
  bool complete() const { return complete_time != absl::InfiniteFuture(); }
  bool has_callbacks() const {
    for (const BatchEvent event : kBatchEvents) {
      if (callbacks[event].wanted) return true;
    }
    return false;
  }
};
std::string EncodeBatch(const StoredBatch& batch);
absl::StatusOr<StoredBatch> DecodeBatch(std::string_view value);

std::string EncodeBatchCallbacks(const BatchCallbacks& callbacks,
                                 int64_t keep_until_millis);
// The contents carry `namespace_name` and no id.
absl::StatusOr<BatchCallbacks> DecodeBatchCallbacks(
    std::string_view namespace_name, std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_BATCH_CODEC_H_
