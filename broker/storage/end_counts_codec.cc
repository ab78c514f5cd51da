#include "broker/storage/end_counts_codec.h"

#include <cstdint>

#include "broker/storage/key_format.h"

namespace apium::broker {
namespace {

constexpr size_t kNumbers = 5;
constexpr size_t kNumberBytes = 8;

}  // namespace

std::string EncodeEndCounts(const EndCounts& counts) {
  std::string value;
  value.reserve(kNumbers * kNumberBytes);
  for (const uint64_t number :
       {counts.succeeded, counts.failed, counts.cancelled, counts.expired,
        counts.dead_lettered}) {
    value += EncodeNumber(number);
  }
  return value;
}

absl::StatusOr<EndCounts> DecodeEndCounts(std::string_view value) {
  if (value.size() < kNumbers * kNumberBytes ||
      value.size() % kNumberBytes != 0) {
    return absl::DataLossError("the store holds a damaged ends row");
  }
  const auto number = [value](size_t index) {
    return *DecodeNumber(value.substr(index * kNumberBytes, kNumberBytes));
  };
  return EndCounts{.succeeded = number(0),
                   .failed = number(1),
                   .cancelled = number(2),
                   .expired = number(3),
                   .dead_lettered = number(4)};
}

}  // namespace apium::broker
