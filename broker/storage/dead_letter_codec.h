#ifndef APIUM_BROKER_STORAGE_DEAD_LETTER_CODEC_H_
#define APIUM_BROKER_STORAGE_DEAD_LETTER_CODEC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/breaker.h"
#include "broker/engine/dead_letter.h"

// Values of the rows of dead letters, redrives and breakers: the engine's
// structs <-> apium.storage.v1. Decoders answer DATA_LOSS for what no encoder
// writes. Any thread.
namespace apium::broker {

//   letter := number:64 DeadLetterRecord
std::string EncodeDeadLetter(const DeadLetter& letter);
// `task_key` as in the row's key.
absl::StatusOr<std::shared_ptr<const DeadLetter>> DecodeDeadLetter(
    std::string_view task_key, std::string_view value);

// What a redrive row holds. `queue` of `shown` is in the key.
struct StoredRedrive {
  Redrive shown;
  uint64_t number_limit = 0;
  std::string cursor;
  absl::Time next_time = absl::InfinitePast();
};
std::string EncodeRedrive(const StoredRedrive& redrive);
absl::StatusOr<StoredRedrive> DecodeRedrive(std::string_view value);

// What a breaker row holds.
struct StoredBreaker {
  BreakerSettings settings;
  BreakerState state = BreakerState::kClosed;
  absl::Time open_time = absl::InfinitePast();
  uint64_t trial_epoch = 0;
};
std::string EncodeBreaker(const StoredBreaker& breaker);
absl::StatusOr<StoredBreaker> DecodeBreaker(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_DEAD_LETTER_CODEC_H_
