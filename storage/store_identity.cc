#include "storage/store_identity.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace apium {
namespace {

struct Identity {
  std::string application;
  uint32_t format_version = 0;
};

// identity := application " " format_version   (decimal; readable in a dump)
std::string Encode(const StoreApplication& application) {
  return absl::StrCat(application.name, " ", application.format_version);
}

std::optional<Identity> Decode(std::string_view value) {
  const size_t space = value.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  Identity identity{.application = std::string(value.substr(0, space))};
  const std::string version(value.substr(space + 1));
  if (!absl::SimpleAtoi(version, &identity.format_version) ||
      identity.format_version == 0) {
    return std::nullopt;
  }
  return identity;
}

// OK when this program may read and write a store with this identity.
absl::Status Check(const Identity& stored,
                   const StoreApplication& application) {
  if (stored.application != application.name) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store was written by ", stored.application, ", this is ",
        application.name, "; give each service a data folder of its own"));
  }
  if (stored.format_version > application.format_version) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has format version ", stored.format_version, ", this ",
        application.name, " writes version ", application.format_version,
        "; run the newer program that wrote the store, or restore a backup "
        "from before the upgrade"));
  }
  const auto& readable = application.readable_versions;
  if (stored.format_version < application.format_version &&
      std::find(readable.begin(), readable.end(), stored.format_version) ==
          readable.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has format version ", stored.format_version, ", this ",
        application.name, " writes version ", application.format_version,
        " and cannot read the older one; upgrade by way of a release that "
        "reads both"));
  }
  return absl::OkStatus();
}

absl::Status WriteIdentity(Store& store, const StoreApplication& application) {
  StoreBatch batch;
  batch.Put(kStoreIdentityKey, Encode(application));
  if (absl::Status status = store.Write(batch); !status.ok()) return status;
  return store.Sync();
}

absl::Status WriteFirstIdentity(Store& store,
                                const StoreApplication& application) {
  // No key of an application reaches so far.
  const std::string end_of_keys(16, '\xff');
  bool has_rows = false;
  absl::Status status =
      store.Scan("", end_of_keys, [&](std::string_view, std::string_view) {
        has_rows = true;
        return false;
      });
  if (!status.ok()) return status;
  if (has_rows) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store has rows but does not say which program wrote them; it is "
        "not a store of ",
        application.name, "; use an empty folder"));
  }
  return WriteIdentity(store, application);
}

}  // namespace

absl::Status CheckOrWriteIdentity(Store& store,
                                  const StoreApplication& application) {
  std::string value;
  absl::Status status = store.Get(kStoreIdentityKey, &value);
  if (absl::IsNotFound(status)) return WriteFirstIdentity(store, application);
  if (!status.ok()) return status;
  const std::optional<Identity> stored = Decode(value);
  if (!stored.has_value()) {
    return absl::DataLossError(
        "the row that says which program wrote the store is unreadable; "
        "restore the folder from a backup");
  }
  status = Check(*stored, application);
  if (!status.ok() || stored->format_version == application.format_version) {
    return status;
  }
  return WriteIdentity(store, application);
}

}  // namespace apium
