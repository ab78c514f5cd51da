#include "tests/storage/store_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>

namespace apium {
namespace {

std::set<std::string> Names(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.insert(entry.path().filename());
  }
  return names;
}

}  // namespace

std::string NewPath() {
  static std::atomic<int> count = 0;
  const std::string path = ::testing::TempDir() + "/store-" +
                           std::to_string(getpid()) + "-" +
                           std::to_string(++count);
  std::filesystem::remove_all(path);
  return path;
}

std::string CopyFolder(const std::string& folder) {
  for (;;) {
    const std::string copy = NewPath();
    const std::set<std::string> before = Names(folder);
    std::error_code error;
    std::filesystem::copy(folder, copy, error);
    if (!error && Names(folder) == before) return copy;
    std::filesystem::remove_all(copy);
  }
}

std::map<std::string, std::string> DataFiles(const std::string& folder,
                                             std::string_view prefix,
                                             std::string_view suffix) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const bool is_data = name == "CURRENT" || name.starts_with("MANIFEST-") ||
                         name.ends_with(".log") || name.ends_with(".sst");
    if (is_data && name.starts_with(prefix) && name.ends_with(suffix)) {
      files[name] = ReadFile(entry.path());
    }
  }
  return files;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

}  // namespace apium
