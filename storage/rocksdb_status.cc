#include "storage/rocksdb_status.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "rocksdb/status.h"

namespace apium {
namespace {

// RocksDB looks for a missing table under its old name last, and complains of
// that one.
std::string TextOf(const rocksdb::Status& status) {
  return absl::StrReplaceAll(status.ToString(), {{".ldb", ".sst"}});
}

// RocksDB passes on most system errors as text only (strerror).
absl::Status FromIoError(const rocksdb::Status& status,
                         const std::string& folder) {
  const std::string text = TextOf(status);
  if (status.IsNoSpace() || absl::StrContains(text, "No space left")) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the disk of store ", folder,
                     " is full; free some space and start again: ", text));
  }
  if (absl::StrContains(text, "Too many open files")) {
    return absl::ResourceExhaustedError(
        absl::StrCat("store ", folder,
                     " cannot open another file; raise the limit of open "
                     "files (ulimit -n): ",
                     text));
  }
  if (absl::StrContains(text, "lock hold by current process")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", folder, " is already open in this process (LOCK held)"));
  }
  if (absl::StrContains(text, "While lock file")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "store ", folder,
        " is in use by another process (LOCK held); stop that process or "
        "choose another data folder"));
  }
  if (absl::StrContains(text, "Permission denied") ||
      absl::StrContains(text, "Read-only file system")) {
    return absl::PermissionDeniedError(
        absl::StrCat("store ", folder, " cannot be read and written: ", text));
  }
  if (status.IsPathNotFound() ||
      absl::StrContains(text, "No such file or directory")) {
    return DamagedStoreError(folder, text);
  }
  return absl::UnavailableError(
      absl::StrCat("the disk of store ", folder, " fails: ", text));
}

}  // namespace

absl::Status FromRocksDbStatus(const rocksdb::Status& status,
                               const std::string& folder) {
  switch (status.code()) {
    case rocksdb::Status::kOk:
      return absl::OkStatus();
    case rocksdb::Status::kNotFound:
      return absl::NotFoundError("no such row");
    case rocksdb::Status::kCorruption:
      return DamagedStoreError(folder, TextOf(status));
    case rocksdb::Status::kIOError:
      return FromIoError(status, folder);
    case rocksdb::Status::kInvalidArgument:
    case rocksdb::Status::kNotSupported:
      return absl::InvalidArgumentError(
          absl::StrCat("store ", folder, ": ", TextOf(status)));
    case rocksdb::Status::kAborted:
      if (status.subcode() == rocksdb::Status::kMemoryLimit) {
        return absl::ResourceExhaustedError(
            absl::StrCat("store ", folder, ": ", TextOf(status)));
      }
      [[fallthrough]];
    default:
      return absl::UnavailableError(
          absl::StrCat("store ", folder, ": ", TextOf(status)));
  }
}

absl::Status DamagedStoreError(const std::string& folder,
                               const std::string& damage) {
  return absl::DataLossError(absl::StrCat(
      "store ", folder, " is damaged: ", damage,
      "; nothing was changed: restore the folder from a backup, or keep it "
      "aside and start with an empty one"));
}

}  // namespace apium
