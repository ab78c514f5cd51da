#include "common/uuid.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "absl/random/random.h"
#include "common/check.h"
#include "common/fingerprint.h"

namespace apium {
namespace {

constexpr size_t kTextBytes = 36;
constexpr uint64_t kUnixMsMax = (uint64_t{1} << 48) - 1;
constexpr uint32_t kCounterMax = (1u << 12) - 1;

uint64_t UnixMs(absl::Time now) {
  const int64_t ms = absl::ToUnixMillis(now);
  return std::min(static_cast<uint64_t>(std::max<int64_t>(ms, 0)), kUnixMsMax);
}

// `high` is the first 64 bits, `low` the rest.
std::string ToText(uint64_t high, uint64_t low) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(kTextBytes, '-');
  size_t at = 0;
  for (int digit = 0; digit < 32; ++digit) {
    if (at == 8 || at == 13 || at == 18 || at == 23) ++at;
    const uint64_t half = digit < 16 ? high : low;
    text[at++] = kDigits[(half >> (60 - 4 * (digit % 16))) & 0xF];
  }
  return text;
}

std::string MakeUuidV7(uint64_t unix_ms, uint32_t rand_a, uint64_t rand_b) {
  const uint64_t high = unix_ms << 16 | 0x7000 | rand_a;
  const uint64_t low =
      uint64_t{0b10} << 62 | (rand_b & ((uint64_t{1} << 62) - 1));
  return ToText(high, low);
}

struct Halves {
  uint64_t high = 0;
  uint64_t low = 0;
};

// Nothing unless `text` is a version 7 UUID in canonical form.
std::optional<Halves> ParseUuidV7(std::string_view text) {
  if (text.size() != kTextBytes) return std::nullopt;
  std::array<uint64_t, 2> halves = {0, 0};
  int digit = 0;
  for (size_t at = 0; at < kTextBytes; ++at) {
    const char c = text[at];
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (c != '-') return std::nullopt;
      continue;
    }
    uint64_t value;
    if (c >= '0' && c <= '9') {
      value = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      value = c - 'a' + 10;
    } else {
      return std::nullopt;
    }
    uint64_t& half = halves[digit / 16];
    half = half << 4 | value;
    ++digit;
  }
  if ((halves[0] >> 12 & 0xF) != 7 || halves[1] >> 62 != 0b10) {
    return std::nullopt;
  }
  return Halves{.high = halves[0], .low = halves[1]};
}

std::mt19937_64 KernelSeededRandom() {
  std::array<uint32_t, 8> seed;
  const ssize_t got = getrandom(seed.data(), sizeof(seed), 0);
  APIUM_CHECK(got == static_cast<ssize_t>(sizeof(seed)))
      << "getrandom gave " << got;
  std::seed_seq sequence(seed.begin(), seed.end());
  return std::mt19937_64(sequence);
}

}  // namespace

UuidV7Generator::UuidV7Generator() : random_(KernelSeededRandom()) {}

UuidV7Generator::UuidV7Generator(uint64_t seed) : random_(seed) {}

std::string UuidV7Generator::Next(absl::Time now) {
  const uint64_t unix_ms = UnixMs(now);
  if (!started_ || unix_ms > last_ms_) {
    started_ = true;
    last_ms_ = unix_ms;
    // The top bit stays free, so that at least 2048 ids fit before the counter
    // runs over into the next millisecond.
    counter_ = random_() & (kCounterMax >> 1);
  } else if (counter_ < kCounterMax) {
    ++counter_;
  } else {
    last_ms_ = std::min(last_ms_ + 1, kUnixMsMax);
    counter_ = 0;
  }
  return MakeUuidV7(last_ms_, counter_, random_());
}

std::string NewUuidV7(absl::Time now) {
  thread_local UuidV7Generator generator;
  return generator.Next(now);
}

std::string MintTaskId(absl::Time now, uint16_t partition,
                       absl::BitGenRef random) {
  const uint32_t rand_a = absl::Uniform<uint32_t>(random, 0, kCounterMax + 1);
  const uint64_t rest = absl::Uniform<uint64_t>(random, 0, uint64_t{1} << 46);
  return MakeUuidV7(UnixMs(now), rand_a, uint64_t{partition} << 46 | rest);
}

uint16_t PartitionOf(std::string_view task_id) {
  const std::optional<Halves> uuid = ParseUuidV7(task_id);
  if (uuid.has_value()) return static_cast<uint16_t>(uuid->low >> 46);
  return static_cast<uint16_t>(StableHash64(task_id) >> 48);
}

std::optional<absl::Time> UuidV7Time(std::string_view id) {
  const std::optional<Halves> uuid = ParseUuidV7(id);
  if (!uuid.has_value()) return std::nullopt;
  return absl::FromUnixMillis(static_cast<int64_t>(uuid->high >> 16));
}

}  // namespace apium
