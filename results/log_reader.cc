#include "results/log_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "apium/v1/task.pb.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "results/result_reasons.h"

namespace apium::results {
namespace {

// Log rows that are fetched at a time when going back.
constexpr uint64_t kRowsPerRead = 64;
// Outcomes that are fetched from the store at a time, in number and in bytes.
constexpr size_t kFetchOutcomes = 64;
constexpr size_t kFetchBytes = 1024 * 1024;
// An outcome that was looked up in vain costs as much as so many log entries.
constexpr size_t kEntriesPerOutcome = 8;

absl::Status CursorExpired(uint64_t position) {
  return WithReason(
      absl::OutOfRangeError(absl::StrCat(
          "outcomes recorded behind the cursor are no longer kept (log "
          "position ",
          position, "); watch from cursor \"0\" to begin with the oldest")),
      reason::kCursorExpired);
}

}  // namespace

// Matching entries on their way to outcomes.
class LogReader::Batch {
 public:
  Batch(const StoreReader* store, const LogQuery& query,
        const LogReadLimits& limits, std::vector<v1::TaskOutcome>* outcomes)
      : store_(store), query_(query), limits_(limits), outcomes_(outcomes) {}

  // True when the read has all that its limits permit.
  bool Full() const {
    return outcomes_->size() + candidates_.size() >= limits_.outcomes ||
           looked_at_ >= limits_.entries || taken_bytes_ >= limits_.bytes;
  }
  // True when an outcome of `bytes` is too much for what is left.
  bool Exceeds(size_t bytes) const {
    return taken_bytes_ > 0 && taken_bytes_ + bytes > limits_.bytes;
  }

  void LookedAt() { ++looked_at_; }

  // Takes an entry of row `position`.
  absl::Status Add(const LogEntry& entry, uint64_t position) {
    candidates_.push_back({.key = OutcomeKey(query_.name_space, entry.task_id),
                           .task_id = std::string(entry.task_id),
                           .position = position});
    taken_bytes_ += entry.size;
    fetch_bytes_ += entry.size;
    // At the limit, too: what was taken may turn out not to match.
    if (candidates_.size() >= kFetchOutcomes || fetch_bytes_ >= kFetchBytes ||
        Full()) {
      return Fetch();
    }
    return absl::OkStatus();
  }

  // Looks up what was taken. Outcomes that are no longer there are left out.
  absl::Status Fetch() {
    std::vector<std::string> keys;
    keys.reserve(candidates_.size());
    for (const Candidate& candidate : candidates_) {
      keys.push_back(candidate.key);
    }
    std::vector<std::optional<std::string>> values;
    APIUM_RETURN_IF_ERROR(store_->MultiGet(keys, &values));
    for (size_t i = 0; i < candidates_.size(); ++i) {
      const Candidate& candidate = candidates_[i];
      if (!values[i].has_value()) {
        continue;  // forgotten, or expired and compacted away
      }
      APIUM_ASSIGN_OR_RETURN(const OutcomeRow row,
                             ParseOutcomeValue(candidate.key, *values[i]));
      if (row.position != candidate.position ||
          row.expire_ms <= query_.now_ms) {
        continue;  // the id was published anew, and is listed there
      }
      v1::TaskOutcome& outcome = outcomes_->emplace_back();
      APIUM_RETURN_IF_ERROR(ParseOutcome(query_.name_space, candidate.task_id,
                                         candidate.key, row.outcome, &outcome));
      if (!query_.filter.Matches(outcome)) {
        outcomes_->pop_back();
        looked_at_ += kEntriesPerOutcome;
        continue;
      }
      if (!query_.with_data && outcome.has_result()) {
        outcome.mutable_result()->clear_data();
      }
    }
    candidates_.clear();
    fetch_bytes_ = 0;
    return absl::OkStatus();
  }

 private:
  const StoreReader* const store_;
  const LogQuery& query_;
  const LogReadLimits& limits_;
  std::vector<v1::TaskOutcome>* const outcomes_;
  std::vector<Candidate> candidates_;
  size_t fetch_bytes_ = 0;
  size_t taken_bytes_ = 0;
  size_t looked_at_ = 0;
};

absl::StatusOr<bool> LogReader::ReadBack(
    const LogQuery& query, const LogReadLimits& limits, LogPlace* before,
    std::vector<v1::TaskOutcome>* outcomes) const {
  Batch batch(store_, query, limits, outcomes);
  LogRow row;
  while (!batch.Full()) {
    APIUM_ASSIGN_OR_RETURN(const std::vector<StoredRow> rows,
                           LoadRowsBefore(query.name_space, *before));
    if (rows.empty()) {
      APIUM_RETURN_IF_ERROR(batch.Fetch());
      return false;
    }
    for (auto stored = rows.rbegin(); stored != rows.rend() && !batch.Full();
         ++stored) {
      batch.LookedAt();
      const LogPlace start = {.position = stored->position};
      if (IsExpiredRow(stored->key, stored->value, query.now_ms)) {
        *before = start;
        continue;
      }
      APIUM_RETURN_IF_ERROR(ParseLogValue(stored->key, stored->value, &row));
      size_t end = row.entries.size();
      if (stored->position == before->position) {
        end = std::min<size_t>(end, before->entry);
      }
      *before = {.position = stored->position,
                 .entry = static_cast<uint32_t>(end)};
      while (before->entry > 0 && !batch.Full()) {
        const LogEntry& entry = row.entries[before->entry - 1];
        batch.LookedAt();
        if (query.filter.Matches(entry) &&
            row.ExpireMsOf(entry) > query.now_ms) {
          if (batch.Exceeds(entry.size)) {
            APIUM_RETURN_IF_ERROR(batch.Fetch());
            return true;
          }
          APIUM_RETURN_IF_ERROR(batch.Add(entry, stored->position));
        }
        --before->entry;
      }
    }
  }
  APIUM_RETURN_IF_ERROR(batch.Fetch());
  return true;
}

absl::Status LogReader::ReadForward(
    const LogQuery& query, const LogReadLimits& limits, uint64_t last_position,
    int64_t retention_ms, Forward* from,
    std::vector<v1::TaskOutcome>* outcomes) const {
  Batch batch(store_, query, limits, outcomes);
  // Nothing that was kept at from->time_ms for the whole retention can be gone
  // before this is true.
  const auto may_be_lost = [&] {
    return query.now_ms - from->time_ms >= retention_ms;
  };
  absl::Status status;
  bool stopped = false;
  LogRow row;
  const auto visit = [&](std::string_view key, std::string_view value) {
    const absl::StatusOr<uint64_t> position = PositionOfLogKey(key);
    const bool gone = position.ok() && (*position != from->place.position ||
                                        IsExpiredRow(key, value, query.now_ms));
    if (!position.ok()) {
      status = position.status();
    } else if (gone && may_be_lost()) {
      status = CursorExpired(from->place.position);
    } else {
      batch.LookedAt();
      status = ParseLogValue(key, value, &row);
    }
    if (!status.ok()) {
      return false;
    }
    if (*position != from->place.position) {
      from->place = {.position = *position};
    }
    for (; from->place.entry < row.entries.size(); ++from->place.entry) {
      const LogEntry& entry = row.entries[from->place.entry];
      if (batch.Full()) {
        stopped = true;
        return false;
      }
      batch.LookedAt();
      if (!query.filter.Matches(entry)) {
        continue;
      }
      if (row.ExpireMsOf(entry) <= query.now_ms) {
        if (entry.ttl_ms >= retention_ms && may_be_lost()) {
          status = CursorExpired(from->place.position);
          return false;
        }
        continue;
      }
      if (batch.Exceeds(entry.size)) {
        stopped = true;
        return false;
      }
      status = batch.Add(entry, *position);
      if (!status.ok()) {
        return false;
      }
    }
    from->place = {.position = *position + 1};
    from->time_ms = std::max(from->time_ms, row.recorded_ms);
    stopped = batch.Full();
    return !stopped;
  };
  APIUM_RETURN_IF_ERROR(
      store_->Scan(LogKey(query.name_space, from->place.position),
                   LogKey(query.name_space, last_position + 1), visit));
  APIUM_RETURN_IF_ERROR(status);
  APIUM_RETURN_IF_ERROR(batch.Fetch());
  if (!stopped && from->place.position <= last_position) {
    // The newest rows are gone already.
    if (may_be_lost()) {
      return CursorExpired(from->place.position);
    }
    from->place = {.position = last_position + 1};
  }
  return absl::OkStatus();
}

absl::Status LogReader::ParseOutcome(std::string_view name_space,
                                     std::string_view task_id,
                                     std::string_view key,
                                     std::string_view serialized,
                                     v1::TaskOutcome* outcome) {
  if (!outcome->ParseFromArray(serialized.data(),
                               static_cast<int>(serialized.size()))) {
    return absl::DataLossError(absl::StrCat(
        "row ", absl::CHexEscape(absl::string_view(key.data(), key.size())),
        " is damaged: it is not an outcome"));
  }
  outcome->mutable_namespace_()->assign(name_space);
  outcome->mutable_task_id()->assign(task_id);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LogReader::StoredRow>> LogReader::LoadRowsBefore(
    const std::string& name_space, LogPlace place) const {
  uint64_t end = place.entry > 0 ? place.position + 1 : place.position;
  while (true) {
    const uint64_t begin = end > kRowsPerRead ? end - kRowsPerRead : 0;
    std::vector<StoredRow> rows;
    absl::Status status;
    APIUM_RETURN_IF_ERROR(store_->Scan(
        LogKey(name_space, begin), LogKey(name_space, end),
        [&](std::string_view key, std::string_view value) {
          const absl::StatusOr<uint64_t> position = PositionOfLogKey(key);
          if (!position.ok()) {
            status = position.status();
            return false;
          }
          rows.push_back({*position, std::string(key), std::string(value)});
          return true;
        }));
    APIUM_RETURN_IF_ERROR(status);
    if (!rows.empty()) {
      return rows;
    }
    APIUM_ASSIGN_OR_RETURN(const std::optional<uint64_t> last,
                           LastPositionBefore(name_space, begin));
    if (!last.has_value()) {
      return rows;
    }
    end = *last + 1;  // once more, as compaction may drop that one meanwhile
  }
}

// The store scans forwards only, so the last row before a gap is found by
// bisection: rows that compaction dropped can leave a gap of any length.
absl::StatusOr<std::optional<uint64_t>> LogReader::LastPositionBefore(
    const std::string& name_space, uint64_t limit) const {
  APIUM_ASSIGN_OR_RETURN(std::optional<uint64_t> last,
                         FirstPositionIn(name_space, 0, limit));
  uint64_t end = limit;  // there is no row in [end, limit)
  while (last.has_value() && *last + 1 < end) {
    const uint64_t middle = *last + (end - *last) / 2;
    APIUM_ASSIGN_OR_RETURN(const std::optional<uint64_t> found,
                           FirstPositionIn(name_space, middle, end));
    if (found.has_value()) {
      last = found;
    } else {
      end = middle;
    }
  }
  return last;
}

absl::StatusOr<std::optional<uint64_t>> LogReader::FirstPositionIn(
    const std::string& name_space, uint64_t begin, uint64_t end) const {
  std::optional<uint64_t> first;
  absl::Status status;
  APIUM_RETURN_IF_ERROR(store_->Scan(
      LogKey(name_space, begin), LogKey(name_space, end),
      [&](std::string_view key, std::string_view) {
        const absl::StatusOr<uint64_t> position = PositionOfLogKey(key);
        if (position.ok()) {
          first = *position;
        } else {
          status = position.status();
        }
        return false;
      }));
  APIUM_RETURN_IF_ERROR(status);
  return first;
}

}  // namespace apium::results
