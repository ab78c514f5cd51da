#ifndef APIUM_RESULTS_LOG_READER_H_
#define APIUM_RESULTS_LOG_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "results/cursor.h"
#include "results/result_filter.h"
#include "results/row_format.h"
#include "storage/store.h"

namespace apium::v1 {
class TaskOutcome;
}  // namespace apium::v1

namespace apium::results {

// What a reader of the log asks for.
struct LogQuery {
  std::string name_space;
  ResultFilter filter;
  bool with_data = true;  // false leaves out result data
  int64_t now_ms = 0;     // what expired by then is not there
};

// Ends a read early, so that one call never holds the service's thread for
// long: measured, an entry takes about 0.1 us and an outcome 1 us.
struct LogReadLimits {
  size_t outcomes = 0;
  size_t bytes = 0;    // of outcomes; passed only by a first one that is larger
  size_t entries = 0;  // looked at, whether they match or not
};

// Outcomes in the order of the log, oldest or newest first. Pure but for what
// it reads from the store; one thread.
class LogReader {
 public:
  // Borrows `store`.
  explicit LogReader(const StoreReader* store) : store_(store) {}

  // Going back from `*before`, exclusive: the outcomes newest first, and
  // `*before` moved to where the next read goes on. False: there are no older
  // ones. Errors: those of the store.
  absl::StatusOr<bool> ReadBack(const LogQuery& query,
                                const LogReadLimits& limits, LogPlace* before,
                                std::vector<v1::TaskOutcome>* outcomes) const;

  // A reader that goes forward. Whoever is at `place` has been given
  // everything before it that was kept at `time_ms`.
  struct Forward {
    LogPlace place;
    int64_t time_ms = 0;
  };
  // From `*from` to row `last_position`, inclusive: the outcomes in recorded
  // order, and `*from` moved behind what was read. An outcome that was
  // forgotten, or whose own TTL is below `retention_ms` and passed, is left
  // out. OUT_OF_RANGE / CURSOR_EXPIRED: outcomes that were to be kept for
  // `retention_ms` are gone.
  absl::Status ReadForward(const LogQuery& query, const LogReadLimits& limits,
                           uint64_t last_position, int64_t retention_ms,
                           Forward* from,
                           std::vector<v1::TaskOutcome>* outcomes) const;

  // Parses an outcome row, and gives the outcome its key's fields back.
  // DATA_LOSS when it cannot be parsed.
  static absl::Status ParseOutcome(std::string_view name_space,
                                   std::string_view task_id,
                                   std::string_view key,
                                   std::string_view serialized,
                                   v1::TaskOutcome* outcome);

 private:
  struct StoredRow {
    uint64_t position = 0;
    std::string key;
    std::string value;
  };
  // An entry that matched, to be looked up.
  struct Candidate {
    std::string key;
    std::string task_id;
    uint64_t position = 0;
  };
  class Batch;

  // The last rows before `place` (the row it is in included when it is not at
  // that row's start), oldest first; empty: there are none.
  absl::StatusOr<std::vector<StoredRow>> LoadRowsBefore(
      const std::string& name_space, LogPlace place) const;
  absl::StatusOr<std::optional<uint64_t>> LastPositionBefore(
      const std::string& name_space, uint64_t limit) const;
  absl::StatusOr<std::optional<uint64_t>> FirstPositionIn(
      const std::string& name_space, uint64_t begin, uint64_t end) const;

  const StoreReader* const store_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_LOG_READER_H_
