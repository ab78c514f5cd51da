#ifndef APIUM_EXAMPLES_TASKS_COUNT_WORDS_H_
#define APIUM_EXAMPLES_TASKS_COUNT_WORDS_H_

#include <cstdint>
#include <istream>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/task_context.h"

namespace apium {

class Worker;

// How often each word occurs. A word is a run of the letters a to z; capital
// letters count as small ones.
using WordCounts = std::map<std::string, int64_t>;
WordCounts CountWords(std::istream& text);

// The task text.count_words(path): counts the words of a file that this worker
// can read. Its failures are apium.BadArguments for a path that is empty or not
// a file, and NOT_FOUND and PERMISSION_DENIED; none of them is retried, because
// the file would have to come first.
absl::StatusOr<WordCounts> CountWordsOfFile(TaskContext& context,
                                            const std::string& path);

// Registers text.count_words.
absl::Status RegisterCountWords(Worker* worker);

}  // namespace apium

#endif  // APIUM_EXAMPLES_TASKS_COUNT_WORDS_H_
