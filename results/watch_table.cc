#include "results/watch_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "results/result_reasons.h"

namespace apium::results {
namespace {

// Watchers that one CatchUp reads for, and what each may read: a bound on how
// long recording waits for readers, some milliseconds.
constexpr int kCatchUpWatchers = 8;
constexpr size_t kCatchUpOutcomes = 256;
constexpr size_t kCatchUpEntries = 4096;

// A message without outcomes.
constexpr size_t kMessageOverheadBytes = 64;

}  // namespace

void WatchTable::Begin(const WatchBegin& begin, uint64_t head, int64_t now_ms,
                       ResultEffects* effects) {
  if (watchers_.size() >= options_.watchers_max) {
    effects->ends.push_back(
        {.stream = begin.stream,
         .status = WithReason(absl::ResourceExhaustedError(
                                  absl::StrCat("there are ", watchers_.size(),
                                               " watchers; that is the limit")),
                              reason::kTooManyWatchers)});
    return;
  }
  const absl::StatusOr<LogReader::Forward> start = StartOf(begin, head, now_ms);
  if (!start.ok()) {
    effects->ends.push_back({.stream = begin.stream, .status = start.status()});
    return;
  }
  Watcher& watcher = watchers_[begin.stream];
  watcher.name_space = begin.name_space;
  watcher.filter = begin.filter;
  watcher.with_data = begin.with_data;
  watcher.at = *start;
  watcher.behind = start->place.position <= head;
  by_namespace_[begin.name_space].insert(begin.stream);
  Push(begin.stream, &watcher, v1::WatchResultsResponse(), 0, effects);
  UpdateReady(begin.stream, watcher);
}

void WatchTable::Taken(CallId stream, size_t bytes) {
  auto found = watchers_.find(stream);
  if (found == watchers_.end()) {
    return;
  }
  Watcher& watcher = found->second;
  watcher.in_flight_bytes -= std::min(watcher.in_flight_bytes, bytes);
  UpdateReady(stream, watcher);
}

void WatchTable::End(CallId stream) {
  auto found = watchers_.find(stream);
  if (found == watchers_.end()) {
    return;
  }
  auto neighbours = by_namespace_.find(found->second.name_space);
  neighbours->second.erase(stream);
  if (neighbours->second.empty()) {
    by_namespace_.erase(neighbours);
  }
  ready_.erase(stream);
  watchers_.erase(found);
}

void WatchTable::EndAll(const absl::Status& status, ResultEffects* effects) {
  for (const auto& [id, watcher] : watchers_) {
    effects->ends.push_back({.stream = id, .status = status});
  }
  watchers_.clear();
  by_namespace_.clear();
  ready_.clear();
}

void WatchTable::CatchUp(
    absl::FunctionRef<uint64_t(const std::string&)> head_of, int64_t now_ms,
    ResultEffects* effects) {
  const int turns =
      static_cast<int>(std::min<size_t>(kCatchUpWatchers, ready_.size()));
  for (int i = 0; i < turns; ++i) {
    auto next = ready_.upper_bound(last_served_);
    if (next == ready_.end()) {
      next = ready_.begin();
    }
    const CallId id = *next;
    last_served_ = id;
    Watcher& watcher = watchers_[id];
    const uint64_t head = head_of(watcher.name_space);
    absl::Status status = ReadFor(id, &watcher, head, now_ms, effects);
    if (!status.ok()) {
      effects->ends.push_back({.stream = id, .status = std::move(status)});
      End(id);
      if (ready_.empty()) {
        return;
      }
      continue;
    }
    watcher.behind = watcher.at.place.position <= head;
    UpdateReady(id, watcher);
    if (ready_.empty()) {
      return;
    }
  }
}

void WatchTable::Append(const std::string& name_space, uint64_t position,
                        int64_t recorded_ms,
                        absl::Span<const AppendedOutcome> outcomes,
                        ResultEffects* effects) {
  auto found = by_namespace_.find(name_space);
  if (found == by_namespace_.end()) {
    return;
  }
  for (const CallId id : found->second) {
    Watcher& watcher = watchers_[id];
    if (!watcher.behind) {
      AppendTo(id, &watcher, position, recorded_ms, outcomes, effects);
      UpdateReady(id, watcher);
    }
  }
}

absl::StatusOr<LogReader::Forward> WatchTable::StartOf(const WatchBegin& begin,
                                                       uint64_t head,
                                                       int64_t now_ms) const {
  if (begin.after_cursor.empty()) {
    return LogReader::Forward{.place = {.position = head + 1},
                              .time_ms = now_ms};
  }
  if (begin.after_cursor == "0") {
    return LogReader::Forward{.place = {.position = 1}, .time_ms = now_ms};
  }
  const std::optional<Cursor> cursor =
      DecodeCursor(CursorKind::kWatch, begin.after_cursor);
  if (!cursor.has_value()) {
    return InvalidField("after_cursor",
                        absl::StrCat(QuoteForMessage(begin.after_cursor),
                                     " is not a cursor of a former answer, "
                                     "\"0\", or empty"));
  }
  if (cursor->store == store_ &&
      cursor->scope != WatchScope(begin.name_space)) {
    return InvalidField("after_cursor",
                        absl::StrCat("the cursor is not of namespace ",
                                     QuoteForMessage(begin.name_space)));
  }
  if (cursor->store != store_ || cursor->place.position > head + 1) {
    return WithReason(
        absl::OutOfRangeError("the cursor is of a store that is no longer "
                              "there; watch from cursor \"0\""),
        reason::kCursorExpired);
  }
  return LogReader::Forward{.place = cursor->place, .time_ms = cursor->time_ms};
}

void WatchTable::UpdateReady(CallId id, const Watcher& watcher) {
  if (watcher.behind &&
      watcher.in_flight_bytes < options_.in_flight_bytes_max) {
    ready_.insert(id);
  } else {
    ready_.erase(id);
  }
}

void WatchTable::Push(CallId id, Watcher* watcher,
                      v1::WatchResultsResponse message, size_t bytes,
                      ResultEffects* effects) const {
  message.set_cursor(EncodeCursor({.kind = CursorKind::kWatch,
                                   .store = store_,
                                   .scope = WatchScope(watcher->name_space),
                                   .place = watcher->at.place,
                                   .time_ms = watcher->at.time_ms}));
  watcher->told_ms = watcher->at.time_ms;
  bytes += kMessageOverheadBytes;
  watcher->in_flight_bytes += bytes;
  effects->pushes.push_back(
      {.stream = id, .message = std::move(message), .bytes = bytes});
}

void WatchTable::AppendTo(CallId id, Watcher* watcher, uint64_t position,
                          int64_t recorded_ms,
                          absl::Span<const AppendedOutcome> outcomes,
                          ResultEffects* effects) const {
  v1::WatchResultsResponse message;
  size_t bytes = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (!watcher->filter.Matches(outcomes[i].entry) ||
        !watcher->filter.Matches(*outcomes[i].outcome)) {
      continue;
    }
    if (watcher->in_flight_bytes + bytes >= options_.in_flight_bytes_max) {
      watcher->behind = true;
      watcher->at.place = {.position = position,
                           .entry = static_cast<uint32_t>(i)};
      break;
    }
    v1::TaskOutcome& outcome = *message.add_outcomes();
    outcome = *outcomes[i].outcome;
    bytes += outcomes[i].entry.size;
    if (!watcher->with_data && outcome.has_result()) {
      outcome.mutable_result()->clear_data();
    }
    if (bytes >= options_.message_bytes_max) {
      watcher->at.place = {.position = position,
                           .entry = static_cast<uint32_t>(i + 1)};
      Push(id, watcher, std::move(message), bytes, effects);
      message = v1::WatchResultsResponse();
      bytes = 0;
    }
  }
  if (!watcher->behind) {
    watcher->at.place = {.position = position + 1};
    watcher->at.time_ms = std::max(watcher->at.time_ms, recorded_ms);
  }
  // A watcher whose filter matches little is told its cursor all the same, so
  // that it does not go on from one that is too old.
  const bool cursor_is_old =
      watcher->at.time_ms - watcher->told_ms >= retention_ms_ / 8;
  if (message.outcomes_size() > 0 || cursor_is_old) {
    Push(id, watcher, std::move(message), bytes, effects);
  }
}

absl::Status WatchTable::ReadFor(CallId id, Watcher* watcher, uint64_t head,
                                 int64_t now_ms, ResultEffects* effects) const {
  const LogQuery query = {.name_space = watcher->name_space,
                          .filter = watcher->filter,
                          .with_data = watcher->with_data,
                          .now_ms = now_ms};
  const LogReadLimits limits = {.outcomes = kCatchUpOutcomes,
                                .bytes = options_.message_bytes_max,
                                .entries = kCatchUpEntries};
  std::vector<v1::TaskOutcome> outcomes;
  APIUM_RETURN_IF_ERROR(reader_->ReadForward(query, limits, head, retention_ms_,
                                             &watcher->at, &outcomes));
  v1::WatchResultsResponse message;
  message.mutable_outcomes()->Reserve(static_cast<int>(outcomes.size()));
  for (v1::TaskOutcome& outcome : outcomes) {
    message.mutable_outcomes()->Add(std::move(outcome));
  }
  const bool cursor_is_old =
      watcher->at.time_ms - watcher->told_ms >= retention_ms_ / 8;
  if (message.outcomes_size() > 0 || cursor_is_old) {
    const size_t bytes = message.ByteSizeLong();
    Push(id, watcher, std::move(message), bytes, effects);
  }
  return absl::OkStatus();
}

}  // namespace apium::results
