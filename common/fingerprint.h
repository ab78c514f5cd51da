// A 128-bit fingerprint of content (XXH3): tells whether a submit with an id
// seen before carries the same content. Stable for ever: it is stored. Not for
// adversaries: whoever can submit under an id may also craft a collision, and
// gains only the answer to their own first submit.

#ifndef APIUM_COMMON_FINGERPRINT_H_
#define APIUM_COMMON_FINGERPRINT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace apium {

struct Fingerprint {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// 16 bytes, big endian, high first: the stored form.
std::string FingerprintToBytes(const Fingerprint& fingerprint);

// 64 bits of the same hash over one string, for spreading and partitions.
// Stable for ever.
uint64_t StableHash64(std::string_view data);

// Adds fields one after another. Each is written with a tag and, for bytes, its
// length, so that ("ab", "c") and
// ("a", "bc") differ, and so do an absent field and an empty one if the caller
// adds a Bool first. One thread.
class FingerprintBuilder {
 public:
  FingerprintBuilder();  // leaves its memory as it is
  FingerprintBuilder(const FingerprintBuilder&) = delete;
  FingerprintBuilder& operator=(const FingerprintBuilder&) = delete;

  FingerprintBuilder& AddBytes(std::string_view bytes);
  FingerprintBuilder& AddUint64(uint64_t value);
  FingerprintBuilder& AddInt64(int64_t value);
  FingerprintBuilder& AddBool(bool value);

  // The fingerprint of all fields added so far.
  Fingerprint Finish() const;

 private:
  void Append(const void* data, size_t size);
  void StartStreaming();

  // Most contents fit in here and are hashed in one go: adding to the state
  // below costs more than the hash of a small field.
  std::array<unsigned char, 512> small_;
  size_t small_size_ = 0;
  bool streaming_ = false;  // state_ has what small_ had, and all since
  // XXH3_state_t lives somewhere in here, at an address that suits it: a heap
  // allocation for each submit would cost more than the hash.
  std::array<std::byte, 640> state_;
};

}  // namespace apium

#endif  // APIUM_COMMON_FINGERPRINT_H_
