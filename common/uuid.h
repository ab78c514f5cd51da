// UUID version 7 (RFC 9562) in its canonical text form, 36 lower-case
// characters: ids that sort by creation time.
//
//   uuid := unix_ms:48 version:4(=7) rand_a:12 variant:2(=0b10) rand_b:62

#ifndef APIUM_COMMON_UUID_H_
#define APIUM_COMMON_UUID_H_

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"

namespace apium {

// Ids in strictly ascending order, also within a millisecond and when the clock
// steps back: rand_a is a counter that starts at a random value in each new
// millisecond. One thread at a time.
class UuidV7Generator {
 public:
  // Seeded from the kernel (getrandom).
  UuidV7Generator();
  // The same seed and the same times give the same ids: for tests.
  explicit UuidV7Generator(uint64_t seed);

  // `now` is clamped to [1970, 10889-08-02), the range of 48 bits of
  // milliseconds.
  std::string Next(absl::Time now);

 private:
  std::mt19937_64 random_;
  uint64_t last_ms_ = 0;
  uint32_t counter_ = 0;
  bool started_ = false;
};

// Any thread: each thread has a generator of its own.
std::string NewUuidV7(absl::Time now);

// The id of a task that arrived without one. The 16 bits after the variant
// carry `partition`; the rest is random.
std::string MintTaskId(absl::Time now, uint16_t partition,
                       absl::BitGenRef random);

// The partition that a task belongs to: the 16 bits after the variant if
// `task_id` is a canonical UUIDv7 (ids that we mint, and ids of clients that
// use UUIDv7, where the bits are random), else 16 bits of a hash of the text. A
// stored task is found by this for ever, so the answer for an id never changes
// between versions.
uint16_t PartitionOf(std::string_view task_id);

// The time in a canonical UUIDv7, to the millisecond; nothing if `id` is not
// one.
std::optional<absl::Time> UuidV7Time(std::string_view id);

}  // namespace apium

#endif  // APIUM_COMMON_UUID_H_
