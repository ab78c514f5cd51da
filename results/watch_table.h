#ifndef APIUM_RESULTS_WATCH_TABLE_H_
#define APIUM_RESULTS_WATCH_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "results/command.h"
#include "results/effects.h"
#include "results/log_reader.h"
#include "results/row_format.h"

namespace apium::results {

// An outcome of the row that a group appends.
struct AppendedOutcome {
  LogEntry entry;
  const v1::TaskOutcome* outcome = nullptr;
};

struct WatchTableOptions {
  size_t watchers_max = 1000;
  // What a watcher may have unsent. Beyond it the watcher is behind, and reads
  // from the store when its client has taken what is under way: a slow client
  // costs this much memory and nothing else, and misses nothing.
  size_t in_flight_bytes_max = 1024 * 1024;
  // Outcomes of one message, so that a client gets them while more are read.
  size_t message_bytes_max = 256 * 1024;
};

// The watches, and how far each one is. Part of ResultCore, on its thread.
//
// A watcher is either at the head of its namespace's log, and is pushed each
// row that a group appends, or behind, and reads rows from the store.
class WatchTable {
 public:
  // `retention_ms`: how long outcomes are kept by default. Borrows `reader`.
  WatchTable(WatchTableOptions options, const LogReader* reader,
             int64_t retention_ms)
      : options_(options), reader_(reader), retention_ms_(retention_ms) {}

  // Tells cursors of this store from those of another; before any Begin.
  void SetStore(uint64_t store) { store_ = store; }

  // `head`: the last row of the namespace.
  void Begin(const WatchBegin& begin, uint64_t head, int64_t now_ms,
             ResultEffects* effects);
  void Taken(CallId stream, size_t bytes);
  void End(CallId stream);
  void EndAll(const absl::Status& status, ResultEffects* effects);

  // Reads once for some of those that are behind and have room. `head_of`
  // gives the last row of a namespace that is in the store.
  void CatchUp(absl::FunctionRef<uint64_t(const std::string&)> head_of,
               int64_t now_ms, ResultEffects* effects);
  // True when CatchUp has more to do at once.
  bool CanCatchUp() const { return !ready_.empty(); }

  // A group appends row `position`, the one behind the head.
  void Append(const std::string& name_space, uint64_t position,
              int64_t recorded_ms, absl::Span<const AppendedOutcome> outcomes,
              ResultEffects* effects);
  bool AnyIn(const std::string& name_space) const {
    return by_namespace_.contains(name_space);
  }

  size_t size() const { return watchers_.size(); }

 private:
  struct Watcher {
    std::string name_space;
    ResultFilter filter;
    bool with_data = true;
    LogReader::Forward at;  // what it gets next
    int64_t told_ms = 0;    // at.time_ms of the last cursor that it was sent
    size_t in_flight_bytes = 0;
    bool behind = false;
  };

  absl::StatusOr<LogReader::Forward> StartOf(const WatchBegin& begin,
                                             uint64_t head,
                                             int64_t now_ms) const;
  void UpdateReady(CallId id, const Watcher& watcher);
  // Sends `message` with a cursor at watcher->at.
  void Push(CallId id, Watcher* watcher, v1::WatchResultsResponse message,
            size_t bytes, ResultEffects* effects) const;
  void AppendTo(CallId id, Watcher* watcher, uint64_t position,
                int64_t recorded_ms, absl::Span<const AppendedOutcome> outcomes,
                ResultEffects* effects) const;
  absl::Status ReadFor(CallId id, Watcher* watcher, uint64_t head,
                       int64_t now_ms, ResultEffects* effects) const;

  const WatchTableOptions options_;
  const LogReader* const reader_;
  const int64_t retention_ms_;
  uint64_t store_ = 0;
  absl::btree_map<CallId, Watcher> watchers_;
  absl::flat_hash_map<std::string, absl::btree_set<CallId>> by_namespace_;
  // Behind and with room: what CatchUp serves, in turn.
  absl::btree_set<CallId> ready_;
  CallId last_served_{};
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_WATCH_TABLE_H_
