#ifndef APIUM_RESULTS_WAITER_TABLE_H_
#define APIUM_RESULTS_WAITER_TABLE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "results/command.h"

namespace apium::results {

// The calls that wait for a result, by what they wait for and by when they give
// up. Part of ResultCore, on its thread.
class WaiterTable {
 public:
  // `deadline` is monotonic and may be infinite. `call` is not in the table.
  void Add(CallId call, const std::string& outcome_key,
           absl::Duration deadline);
  // Removes the call; false if it did not wait.
  bool Remove(CallId call);
  // Removes and returns those that wait for `outcome_key`, oldest first.
  std::vector<CallId> TakeFor(const std::string& outcome_key);
  // Removes and returns those whose deadline is at or before `now`, earliest
  // first.
  std::vector<CallId> TakeExpired(absl::Duration now);
  std::vector<CallId> TakeAll();

  // The earliest deadline; nothing if no call has one.
  std::optional<absl::Duration> NextDeadline() const;
  size_t size() const { return waiters_.size(); }
  bool empty() const { return waiters_.empty(); }

 private:
  struct Waiter {
    std::string outcome_key;
    absl::Duration deadline;
  };

  absl::flat_hash_map<CallId, Waiter> waiters_;
  // Ids grow, so a set of them is in order of age.
  absl::flat_hash_map<std::string, absl::btree_set<CallId>> by_key_;
  absl::btree_set<std::pair<absl::Duration, CallId>> by_deadline_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_WAITER_TABLE_H_
