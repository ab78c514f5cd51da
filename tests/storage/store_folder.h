#ifndef APIUM_TESTS_STORAGE_STORE_FOLDER_H_
#define APIUM_TESTS_STORAGE_STORE_FOLDER_H_

#include <map>
#include <string>
#include <string_view>

namespace apium {

// A path under TEST_TMPDIR at which there is nothing. Each call gives another.
std::string NewPath();

// A new folder with a copy of every file of `folder`. A store may be open in it
// that is not writing, flushing or compacting: files that it removes meanwhile
// make the copy start again.
std::string CopyFolder(const std::string& folder);

// Names and contents of the files that hold the store's data: CURRENT,
// MANIFEST-*, *.log and *.sst, as far as their names begin with `prefix` and
// end in `suffix`.
std::map<std::string, std::string> DataFiles(const std::string& folder,
                                             std::string_view prefix = "",
                                             std::string_view suffix = "");

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, std::string_view content);

}  // namespace apium

#endif  // APIUM_TESTS_STORAGE_STORE_FOLDER_H_
