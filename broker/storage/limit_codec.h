#ifndef APIUM_BROKER_STORAGE_LIMIT_CODEC_H_
#define APIUM_BROKER_STORAGE_LIMIT_CODEC_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/limit.h"

namespace apium::broker {

// A limit as it is stored. The namespace is in the key only.
struct StoredLimit {
  Limit limit;
  // A ticket that it drew when it was made: states of an earlier limit of the
  // same name have another.
  uint64_t generation = 0;
};

// What is used of a limit under one key, and must survive.
struct StoredLimitState {
  uint64_t generation = 0;  // of the limit
  // When all points are there again; InfinitePast: they are.
  absl::Time full_time = absl::InfinitePast();
  // Nanoseconds for a point when full_time was reckoned.
  double point_nanos = 0;
  absl::Time pause_until = absl::InfinitePast();  // InfinitePast: not paused

  // From then on the row says nothing.
  absl::Time over() const { return std::max(full_time, pause_until); }
};

std::string EncodeLimit(const StoredLimit& stored);
// `name` as the row's key says. DATA_LOSS.
absl::StatusOr<StoredLimit> DecodeLimit(std::string name,
                                        std::string_view value);

// The value begins with when it is over, see record_value.h.
std::string EncodeLimitState(const StoredLimitState& state);
// DATA_LOSS.
absl::StatusOr<StoredLimitState> DecodeLimitState(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_LIMIT_CODEC_H_
