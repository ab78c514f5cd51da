#ifndef APIUM_STORAGE_STORE_IDENTITY_H_
#define APIUM_STORAGE_STORE_IDENTITY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "storage/store.h"

namespace apium {

// Row that says who wrote a store. The zero byte keeps it clear of every
// application's keys.
inline constexpr std::string_view kStoreIdentityKey("\0identity", 9);

struct StoreApplication {
  // "apium-broker" or "apium-results": lower-case letters, digits and dashes.
  std::string name;
  // Version of the rows that this program writes, 1 or more. It grows when a
  // program of the version before could not read them.
  uint32_t format_version = 0;
  // Older versions whose rows this program reads as they are. A store of one of
  // them is opened, and from then on carries `format_version`, so that an older
  // program refuses it.
  std::vector<uint32_t> readable_versions;
};

// Writes and syncs the identity of a new, empty store, or checks that of an
// existing one. Call it after opening and before any other Write.
//
// FAILED_PRECONDITION: the store belongs to another application, has a newer
// format version, or an older one that is not listed; or it has rows but no
// identity, so that it is not a store of ours. The message names both sides and
// what to do. Nothing is changed then. DATA_LOSS: the identity row is
// unreadable.
absl::Status CheckOrWriteIdentity(Store& store,
                                  const StoreApplication& application);

}  // namespace apium

#endif  // APIUM_STORAGE_STORE_IDENTITY_H_
