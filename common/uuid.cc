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

// What a character is worth as a digit; kNoDigit: it is none.
constexpr uint8_t kNoDigit = 0x10;
constexpr std::array<uint8_t, 256> kDigitValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (uint8_t i = 0; i < 10; ++i) values['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) values['a' + i] = 10 + i;
  return values;
}();

// Appends the digits to `half`. Not all of them were digits: kNoDigit is set in
// what it returns.
uint8_t AppendDigits(std::string_view digits, uint64_t* half) {
  uint8_t all = 0;
  for (const char c : digits) {
    const uint8_t value = kDigitValues[static_cast<unsigned char>(c)];
    all |= value;
    *half = *half << 4 | (value & 0xF);
  }
  return all;
}

// Nothing unless `text` is a version 7 UUID in canonical form. Every submit has
// one parsed: without a branch for each digit.
std::optional<Halves> ParseUuidV7(std::string_view text) {
  if (text.size() != kTextBytes || text[8] != '-' || text[13] != '-' ||
      text[18] != '-' || text[23] != '-') {
    return std::nullopt;
  }
  Halves halves;
  uint8_t all = AppendDigits(text.substr(0, 8), &halves.high);
  all |= AppendDigits(text.substr(9, 4), &halves.high);
  all |= AppendDigits(text.substr(14, 4), &halves.high);
  all |= AppendDigits(text.substr(19, 4), &halves.low);
  all |= AppendDigits(text.substr(24, 12), &halves.low);
  if ((all & kNoDigit) != 0 || (halves.high >> 12 & 0xF) != 7 ||
      halves.low >> 62 != 0b10) {
    return std::nullopt;
  }
  return halves;
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
