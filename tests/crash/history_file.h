// The history that a worker writes, one line for each event, each with one
// append: what is written before a kill -9 stays.
//
//   start TASK ATTEMPT EPOCH TOKEN MONOTONIC_NANOS WALL_NANOS
//   end TOKEN succeeded|failed|cancelled MONOTONIC_NANOS

#ifndef APIUM_TESTS_CRASH_HISTORY_FILE_H_
#define APIUM_TESTS_CRASH_HISTORY_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/crash/history.h"

namespace apium::crash {

// Of one worker process. Any thread. A file that cannot be written ends the
// process: an execution that is not told would be a false witness.
class HistoryWriter {
 public:
  explicit HistoryWriter(const std::string& path);
  ~HistoryWriter();
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;

  // Fills in the times, then writes.
  void Start(ExecutionRecord* execution);
  void End(ExecutionRecord::End end, ExecutionRecord* execution);

 private:
  void Append(std::string_view line);

  const int file_;
};

// The executions in `content`, which `worker` wrote. A last line
// without its end is none: the worker died while it wrote it, before what it
// tells of. INVALID_ARGUMENT names a line that is wrong.
absl::StatusOr<std::vector<ExecutionRecord>> ParseHistory(
    std::string_view content, const std::string& worker);

// The same of a file; empty if it does not exist, because the worker died
// first.
absl::StatusOr<std::vector<ExecutionRecord>> ReadHistoryFile(
    const std::string& path, const std::string& worker);

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_HISTORY_FILE_H_
