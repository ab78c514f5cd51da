#ifndef APIUM_STORAGE_STORE_IDENTITY_H_
#define APIUM_STORAGE_STORE_IDENTITY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store.h"

namespace apium {

// Row that says who wrote a store. The zero byte keeps it clear of every application's keys.
inline constexpr std::string_view kStoreIdentityKey("\0identity", 9);

struct StoreApplication {
  std::string name;             // "apium-broker" or "apium-results"
  uint32_t format_version = 0;  // of the rows that this program writes, 1 or more; grows when an older program could not read them
  // Older versions that this program reads, converting or not. A store of one of them is opened, and from then on carries
  // `format_version`, so that the older program refuses it.
  std::vector<uint32_t> readable_versions;
};

// Writes (and syncs) the identity of a new, empty store, or checks that of an existing one. Call it after opening and
// before any other Write. Returns the format version that the store had: `format_version` for a new one.
//
// FAILED_PRECONDITION: the store belongs to another application, has a newer format version, or an older one that is not
// listed; or it has rows but no identity, so that it is not a store of ours. The message names both sides and what to do.
// Nothing is changed then. DATA_LOSS: the identity row cannot be read.
absl::StatusOr<uint32_t> CheckOrWriteIdentity(Store& store, const StoreApplication& application);

}  // namespace apium

#endif  // APIUM_STORAGE_STORE_IDENTITY_H_
