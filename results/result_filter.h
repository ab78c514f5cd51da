#ifndef APIUM_RESULTS_RESULT_FILTER_H_
#define APIUM_RESULTS_RESULT_FILTER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "results/row_format.h"

namespace apium::v1 {
class ResultFilter;
class TaskOutcome;
}  // namespace apium::v1

namespace apium::results {

// Which results a reader asked for. All conditions hold together; a value made
// without From is "all".
struct ResultFilter {
  // Bit n: apium.v1.TaskState n. 0: any state.
  uint32_t states = 0;
  std::string queue;  // empty: any
  std::string type;   // empty: any
  // Ended in [after, before), Unix nanoseconds.
  int64_t finished_after_ns = std::numeric_limits<int64_t>::min();
  int64_t finished_before_ns = std::numeric_limits<int64_t>::max();

  // Accepted in [after, before), Unix nanoseconds.
  int64_t created_after_ns = std::numeric_limits<int64_t>::min();
  int64_t created_before_ns = std::numeric_limits<int64_t>::max();
  // Each of them, with this value; sorted.
  std::vector<std::pair<std::string, std::string>> headers;

  // INVALID_ARGUMENT naming the field below "filter": an unknown state, a name
  // that no queue, type or header can have, more than 16 headers, a time out
  // of range.
  static absl::StatusOr<ResultFilter> From(const v1::ResultFilter& proto);

  // The conditions that a log entry can answer.
  bool Matches(const LogEntry& entry) const;
  // The others, and whether there are any.
  bool Matches(const v1::TaskOutcome& outcome) const;
  bool NeedsOutcome() const;

  // The same for equal filters, in this and in later versions: page tokens
  // carry it.
  uint64_t StableHash() const;

  friend bool operator==(const ResultFilter&, const ResultFilter&) = default;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_RESULT_FILTER_H_
