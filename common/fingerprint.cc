#include "common/fingerprint.h"

// The state lives in FingerprintBuilder, so its size must be known here.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <cstring>
#include <new>

namespace apium {
namespace {

// What precedes a field. Stored fingerprints depend on these: never change one.
enum class Tag : unsigned char {
  kBytes = 1,
  kUint64 = 2,
  kInt64 = 3,
  kBool = 4
};

// Little endian, whatever the machine.
void EncodeUint64(uint64_t value, unsigned char* out) {
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<unsigned char>(value >> (8 * i));
}

// Where in `storage` the state lies. Not alignas(64) on the member: g++ with
// AddressSanitizer does not align its stack frames that far.
XXH3_state_t* StateIn(const std::array<std::byte, 640>& storage) {
  static_assert(sizeof(XXH3_state_t) + alignof(XXH3_state_t) <=
                sizeof(storage));
  const auto address = reinterpret_cast<uintptr_t>(storage.data());
  constexpr uintptr_t kAlignment = alignof(XXH3_state_t);
  const uintptr_t aligned =
      (address + kAlignment - 1) / kAlignment * kAlignment;
  return std::launder(reinterpret_cast<XXH3_state_t*>(aligned));
}

}  // namespace

std::string FingerprintToBytes(const Fingerprint& fingerprint) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(fingerprint.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<char>(fingerprint.low >> (56 - 8 * i));
  }
  return bytes;
}

uint64_t StableHash64(std::string_view data) {
  return XXH3_64bits(data.data(), data.size());
}

FingerprintBuilder::FingerprintBuilder() {}

FingerprintBuilder& FingerprintBuilder::AddBytes(std::string_view bytes) {
  unsigned char head[9] = {static_cast<unsigned char>(Tag::kBytes)};
  EncodeUint64(bytes.size(), head + 1);
  Append(head, sizeof(head));
  Append(bytes.data(), bytes.size());
  return *this;
}

FingerprintBuilder& FingerprintBuilder::AddUint64(uint64_t value) {
  unsigned char field[9] = {static_cast<unsigned char>(Tag::kUint64)};
  EncodeUint64(value, field + 1);
  Append(field, sizeof(field));
  return *this;
}

FingerprintBuilder& FingerprintBuilder::AddInt64(int64_t value) {
  unsigned char field[9] = {static_cast<unsigned char>(Tag::kInt64)};
  EncodeUint64(static_cast<uint64_t>(value), field + 1);
  Append(field, sizeof(field));
  return *this;
}

FingerprintBuilder& FingerprintBuilder::AddBool(bool value) {
  const unsigned char field[2] = {static_cast<unsigned char>(Tag::kBool),
                                  static_cast<unsigned char>(value)};
  Append(field, sizeof(field));
  return *this;
}

Fingerprint FingerprintBuilder::Finish() const {
  const XXH128_hash_t hash = streaming_
                                 ? XXH3_128bits_digest(StateIn(state_))
                                 : XXH3_128bits(small_.data(), small_size_);
  return {.high = hash.high64, .low = hash.low64};
}

void FingerprintBuilder::Append(const void* data, size_t size) {
  if (size == 0) return;
  if (!streaming_ && size <= small_.size() - small_size_) {
    std::memcpy(small_.data() + small_size_, data, size);
    small_size_ += size;
    return;
  }
  if (!streaming_) StartStreaming();
  XXH3_128bits_update(StateIn(state_), data, size);
}

void FingerprintBuilder::StartStreaming() {
  auto* state = new (static_cast<void*>(StateIn(state_))) XXH3_state_t;
  XXH3_INITSTATE(state);
  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, small_.data(), small_size_);
  streaming_ = true;
}

}  // namespace apium
