#include "storage/rocksdb_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/disk_space.h"
#include "storage/rocksdb_log_check.h"
#include "storage/rocksdb_status.h"

namespace apium {
namespace {

// The manifest of a store that was made but never opened to its end.
constexpr std::string_view kFirstManifest = "MANIFEST-000001";

// Manifest, options and info log that each opening writes.
constexpr uint64_t kOpeningBytes = 1 << 20;

struct FolderFiles {
  bool has_current = false;
  bool has_tables = false;
  std::vector<std::string> logs;  // paths
  uint64_t log_bytes = 0;
};

absl::Status FromSystemError(const std::string& path,
                             const std::error_code& error) {
  const std::string message =
      absl::StrCat("data folder ", path, ": ", error.message());
  switch (error.value()) {
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    case ENOTDIR:
    case EEXIST:
    case ENAMETOOLONG:
    case ELOOP:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnavailableError(message);
  }
}

bool IsNumber(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

absl::Status ListFiles(const std::string& path, FolderFiles* files) {
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    const std::filesystem::path& file = entry->path();
    if (file.filename() == "CURRENT") files->has_current = true;
    if (!IsNumber(file.stem().string())) continue;
    if (file.extension() == ".sst") files->has_tables = true;
    if (file.extension() == ".log") {
      files->logs.push_back(file.string());
      files->log_bytes += entry->file_size(error);
    }
  }
  if (error) return FromSystemError(path, error);
  std::sort(files->logs.begin(), files->logs.end());
  return absl::OkStatus();
}

// Opening writes the rows of the logs to tables.
absl::Status CheckSpace(const std::string& path, const FolderFiles& files) {
  const auto space = GetDiskSpace(path);
  if (!space.ok()) return space.status();
  const uint64_t needed_bytes = kOpeningBytes + files.log_bytes;
  if (space->free_bytes >= needed_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the disk of store ", path, " is full: ", space->free_bytes,
                   " bytes are free, opening needs ", needed_bytes));
}

}  // namespace

absl::Status MakeStoreFolder(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError("the path of the data folder is empty");
  }
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return FromSystemError(path, error);
  if (!std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("data folder ", path, " is not a folder"));
  }
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return FromSystemError(path,
                           std::error_code(errno, std::system_category()));
  }
  return absl::OkStatus();
}

absl::Status CheckStoreFolder(const std::string& path) {
  FolderFiles files;
  absl::Status status = ListFiles(path, &files);
  if (status.ok()) status = CheckSpace(path, files);
  if (!status.ok()) return status;
  if (!files.has_current) {
    if (!files.has_tables && files.logs.empty()) return absl::OkStatus();
    return DamagedStoreError(
        path, "it has tables or logs, but the file CURRENT is missing");
  }
  std::string manifest;
  std::ifstream(path + "/CURRENT") >> manifest;
  if (files.logs.empty() && manifest != kFirstManifest) {
    return DamagedStoreError(path, "its log (a file *.log) is missing");
  }
  std::vector<std::string> logs = files.logs;
  const std::string manifest_path = absl::StrCat(path, "/", manifest);
  std::error_code error;
  // RocksDB says it well when there is no such manifest.
  if (std::filesystem::is_regular_file(manifest_path, error)) {
    logs.push_back(manifest_path);
  }
  for (const std::string& log : logs) {
    status = CheckRocksDbLog(log);
    if (absl::IsDataLoss(status)) {
      return DamagedStoreError(path, std::string(status.message()));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace apium
