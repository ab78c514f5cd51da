#include "examples/tasks/count_words.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/names.h"
#include "common/strings.h"
#include "worker/task_error.h"
#include "worker/worker.h"

namespace apium {

WordCounts CountWords(std::istream& text) {
  WordCounts counts;
  std::string word;
  const std::istreambuf_iterator<char> end;
  for (std::istreambuf_iterator<char> it(text); it != end; ++it) {
    if (absl::ascii_isalpha(*it)) {
      word.push_back(absl::ascii_tolower(*it));
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  if (!word.empty()) ++counts[word];
  return counts;
}

absl::StatusOr<WordCounts> CountWordsOfFile(TaskContext& context,
                                            const std::string& path) {
  const std::string shown = QuoteForMessage(path);
  std::error_code error;
  const std::filesystem::file_status file =
      std::filesystem::status(path, error);
  if (path.empty() || std::filesystem::is_directory(file)) {
    return BadArguments(
        StrCat("argument 1 (path): ", shown, " is not the path of a file"));
  }
  if (!std::filesystem::exists(file)) {
    return NonRetryable(absl::NotFoundError(
        StrCat("no file ", shown, " on worker ", context.worker_id(),
               error ? StrCat(": ", error.message()) : "")));
  }
  std::ifstream text(path, std::ios::binary);
  if (!text) {
    return NonRetryable(absl::PermissionDeniedError(
        StrCat("worker ", context.worker_id(), " cannot read ", shown, ": ",
               std::strerror(errno))));
  }
  WordCounts counts = CountWords(text);
  if (text.bad()) {
    return absl::UnavailableError(StrCat("reading ", shown, " failed"));
  }
  return counts;
}

absl::Status RegisterCountWords(Worker* worker) {
  return worker->Register("text.count_words", CountWordsOfFile,
                          {.parameter_names = {"path"}});
}

}  // namespace apium
