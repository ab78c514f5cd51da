// Counts the words of many files: one task for each file, and the sum of their
// results.

#ifndef APIUM_EXAMPLES_COUNT_WORDS_WORD_COUNT_JOB_H_
#define APIUM_EXAMPLES_COUNT_WORDS_WORD_COUNT_JOB_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "examples/count_words/progress.h"

namespace apium {

class TaskClient;

// Absolute paths of the regular files in `folder` and below it, sorted;
// symbolic links are left out, so that no file is counted twice. NOT_FOUND when
// it does not exist, FAILED_PRECONDITION when there is no file in it.
absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& folder);

struct FailedFile {
  std::string path;
  std::string error;
};

// The sum of the results that came so far. One thread at a time.
class WordTotals {
 public:
  // Adds the outcome of the task for the file `path`.
  void Add(const std::string& path, const v1::TaskOutcome& outcome);
  // The task was not even accepted.
  void AddRefused(const std::string& path, const absl::Status& status);

  // At most `count` words with the number of their occurrences, most frequent
  // first, then by the alphabet.
  std::vector<std::pair<std::string, int64_t>> MostFrequent(size_t count) const;
  int64_t words() const { return words_; }  // occurrences in all
  size_t finished() const { return finished_; }
  const std::vector<FailedFile>& failed() const { return failed_; }

 private:
  std::map<std::string, int64_t> counts_;
  std::vector<FailedFile> failed_;
  int64_t words_ = 0;
  size_t finished_ = 0;
};

struct WordCountReport {
  WordTotals totals;
  size_t tasks = 0;
  absl::Duration elapsed;  // from the first submit to the last outcome
};

// Submits a text.count_words task for each of `files` and waits for all
// outcomes. Remarks, such as why nothing happens, go to `log`. Errors are those
// of the broker; a file that fails is part of the report.
absl::StatusOr<WordCountReport> CountWordsOfFiles(
    TaskClient* client, const std::vector<std::string>& files,
    Progress* progress, std::ostream* log);

}  // namespace apium

#endif  // APIUM_EXAMPLES_COUNT_WORDS_WORD_COUNT_JOB_H_
