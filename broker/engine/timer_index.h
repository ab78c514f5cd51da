#ifndef APIUM_BROKER_ENGINE_TIMER_INDEX_H_
#define APIUM_BROKER_ENGINE_TIMER_INDEX_H_

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// The durable timers of tasks (ready at a time, expiry), soonest first. All are
// rows; those before the horizon are in memory too, so that ten million delayed
// tasks are not ten million objects. Resolution: a millisecond, rounded up.
class TimerIndex {
 public:
  // Everything is on disk at first. `reader` outlives the index.
  TimerIndex(const StoreReader* reader, size_t window)
      : reader_(reader), window_max_(window), horizon_(TimerId{}) {}

  void Add(TimerId timer);
  // No error if there is none.
  void Remove(const TimerId& timer);

  // At the start of a turn: timers that are due at `now`, soonest first, at
  // most `limit`. They are removed.
  absl::Status TakeDue(absl::Time now, size_t limit, std::vector<TimerId>* due);
  // When TakeDue may have something again.
  absl::Time NextTime() const;

  void Flush(StoreBatch* batch);

  size_t in_memory() const { return window_.size(); }

 private:
  absl::Status Load();

  const StoreReader* const reader_;
  const size_t window_max_;
  std::set<TimerId> window_;
  std::optional<TimerId> horizon_;  // what is not before it is only on disk;
                                    // none: everything is in memory
  StoreBatch changes_;
};

// The first millisecond that is not before `time`.
int64_t CeilToMillis(absl::Time time);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TIMER_INDEX_H_
