#ifndef APIUM_COMMON_RECENT_IDS_H_
#define APIUM_COMMON_RECENT_IDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_set.h"

namespace apium {

// Tells that a new id is new without a look at the store. Ids that are UUIDv7
// carry the time of their making: the newest ones are remembered, so that one
// that is newer than all that was forgotten, and is not remembered, was never
// stored. Any other id may have been.
//
// What a store holds from before a restart is covered by a bound that is stored
// with it: no stored id is newer. Never wrong in the dangerous direction,
// whatever ids and clocks submitters have; an id from far ahead only makes it
// useless until then. Bounded: twice `generation` hashes. One thread.
class RecentIds {
 public:
  static constexpr size_t kDefaultGeneration = 1 << 16;

  // `stored_bound`: what TakeBound gave last; 0 for a store without ids.
  explicit RecentIds(int64_t stored_bound,
                     size_t generation = kDefaultGeneration)
      : generation_(generation), horizon_(stored_bound), bound_(stored_bound) {}

  // False: `key`, which ends with `id`, was never added.
  bool MayContain(std::string_view key, std::string_view id) const;
  // `key` is about to be stored.
  void Add(std::string_view key, std::string_view id);

  // A new bound, to be stored together with the ids that were added since the
  // last call; nothing if the stored one still holds.
  std::optional<int64_t> TakeBound();

 private:
  size_t generation_;
  int64_t horizon_;  // ids up to here may be forgotten; Unix milliseconds
  int64_t bound_;    // no added id is newer
  bool bound_raised_ = false;
  absl::flat_hash_set<uint64_t> newer_;
  absl::flat_hash_set<uint64_t> older_;
  int64_t newest_of_newer_ = 0;
  int64_t newest_of_older_ = 0;
};

}  // namespace apium

#endif  // APIUM_COMMON_RECENT_IDS_H_
