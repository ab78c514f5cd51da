#ifndef APIUM_BROKER_ENGINE_LIMIT_TABLE_H_
#define APIUM_BROKER_ENGINE_LIMIT_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/limit.h"
#include "broker/engine/placement.h"
#include "broker/storage/limit_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

struct LiveLimit;

// Whom a limit may count: what the tasks of one lane have in common.
struct LimitSubject {
  std::string_view namespace_name;
  std::string_view queue;
  std::string_view type;
  std::string_view fairness_key;
  const Placement::Labels* limit_keys = nullptr;  // null: none
};

// What is used of one limit under one key. Its rate is the generic cell rate
// algorithm: the one number that is kept is when all points are there again.
struct LimitInstance {
  LiveLimit* limit = nullptr;
  std::string key;
  uint32_t running = 0;                         // tasks that workers hold
  absl::Time full_time = absl::InfinitePast();  // when all points are there
  absl::Time pause_until = absl::InfinitePast();
  uint32_t users = 0;         // lanes and leases that point here
  uint32_t parked_lanes = 0;  // kept by ReadyLanes: lanes that wait for it

  // The table's own.
  uint64_t number = 0;     // in the order in which they were made
  double point_nanos = 0;  // nanoseconds for a point, by which full_time is
  bool changed = false;    // whoever waits is to look at the rules again
  bool dirty = false;      // its row is to be written
  absl::Time stored_until = absl::InfinitePast();  // what its row says
  absl::Time clock_time = absl::InfiniteFuture();  // infinite: not on the clock
  absl::Time idle_until = absl::InfiniteFuture();  // infinite: it is used

  // From then on nothing but running tasks is to be remembered.
  absl::Time over() const { return std::max(full_time, pause_until); }
};

// A limit in memory. One that was deleted lives on while instances of it are
// used, and limits nothing.
struct LiveLimit {
  std::string namespace_name;
  StoredLimit stored;
  bool deleted = false;
  absl::btree_map<std::string, std::unique_ptr<LimitInstance>> instances;
  // States that are on disk only are over by then.
  absl::Time stored_states_until = absl::InfinitePast();

  // Of the rate, if there is one.
  double point_nanos = 0;
  absl::Duration cost;   // how much later all points are there for a start
  absl::Duration slack;  // how long before that the next may start

  const Limit& limit() const { return stored.limit; }
  const LimitSettings& settings() const { return stored.limit.settings; }
  bool limits() const { return !deleted && !settings().disabled; }
  bool has_rate() const { return settings().rate.has_value(); }
};

// Instances that count one task: small, sorted by the limit's name.
using LimitShare = std::vector<LimitInstance*>;

// The limits of all namespaces, and what is used of them. Writes limit rows and
// rows of states. A share is used as follows:
//
//   LimitShare share = limits.ShareOf(subject);
//   if (limits.Blocking(share, now) == nullptr) limits.Admit(share, now);
//   ... the task ends ...
//   limits.Release(share);
//   limits.Drop(&share);
class LimitTable {
 public:
  // `reader` outlives the table. `idle_max`: instances that nothing points at
  // and that are held in memory for their points or their pause; the rest is on
  // disk.
  LimitTable(const StoreReader* reader, size_t idle_max)
      : reader_(reader), idle_max_(idle_max) {}

  absl::Status Recover(absl::Time now);
  // Forgets what is over.
  void BeginTurn(absl::Time now);

  // No limit at all, and none that was deleted is still used: the fast path.
  bool empty() const { return namespaces_.empty() && deleted_.empty(); }
  // Grows with every change of the rules: shares of lanes are found anew.
  uint64_t revision() const { return revision_; }

  // The rules. Null: there is none.
  LiveLimit* Find(const std::string& namespace_name, const std::string& name);
  using ByName = std::map<std::string, std::unique_ptr<LiveLimit>>;
  const ByName& LimitsOf(const std::string& namespace_name) const;
  // There is none of this name.
  LiveLimit* Create(const std::string& namespace_name, StoredLimit stored);
  // What is used stays, in points: as if the new rate had always been.
  void Update(LiveLimit* limit, LimitSettings settings);
  void Delete(LiveLimit* limit);

  // Instances that count such a task, made on first use; adds a user to each.
  LimitShare ShareOf(const LimitSubject& subject);
  // The same share for another user.
  static LimitShare Copy(const LimitShare& share);
  // Takes the users away. Whoever is parked is so no longer.
  void Drop(LimitShare* share);

  // The first that admits no further start now; null: none.
  LimitInstance* Blocking(const LimitShare& share, absl::Time now) const;
  // A task starts: one more runs, and its cost is taken.
  void Admit(const LimitShare& share, absl::Time now);
  // One that started before a restart, or before the limit was made, runs.
  void Restore(const LimitShare& share);
  // The lease of a task that was admitted or restored has ended. Points are not
  // given back.
  void Release(const LimitShare& share);

  // A lane was parked to wait for it.
  void NoteParked(LimitInstance* instance, absl::Time now);
  // Who was told that they admit a start makes none: whoever else is parked is
  // told with the next TakeFreed.
  void LookAgain(const LimitShare& share);
  // Instances with parked lanes that may admit again since they were asked
  // last: released, refilled, pause over, rule changed, disabled or deleted.
  // Each once, in the order in which they were made.
  std::vector<LimitInstance*> TakeFreed(absl::Time now);
  // When TakeFreed gets something by time alone; InfinitePast: at once.
  absl::Time NextTime() const {
    if (!freed_.empty()) return absl::InfinitePast();
    return clock_.empty() ? absl::InfiniteFuture() : clock_.begin()->first;
  }

  // The instance of a key, made if need be. Stays at least until the next turn.
  LimitInstance* InstanceOf(LiveLimit* limit, const std::string& key);
  // Takes points, or gives them back if below 0. Without a rate nothing.
  void Charge(LimitInstance* instance, double points, absl::Time now);
  // InfinitePast: not any longer.
  void Pause(LimitInstance* instance, absl::Time until);

  // What holds further starts up.
  enum class Hold : uint8_t { kNone, kPause, kConcurrency, kRate };
  static Hold HoldOf(const LimitInstance& instance, absl::Time now);
  // The first time at which neither pause nor rate hold a start up.
  static absl::Time AdmitTime(const LimitInstance& instance);
  // Points that are there; below 0: charged after the fact. 0 without a rate.
  static double PointsOf(const LimitInstance& instance, absl::Time now);
  static bool IsInUse(const LimitInstance& instance, absl::Time now) {
    return instance.running > 0 || instance.parked_lanes > 0 ||
           instance.over() > now;
  }
  static LimitUsage UsageOf(const LimitInstance& instance, absl::Time now);

  // A row could not be read: ends the turn.
  const absl::Status& failed_read() const { return failed_read_; }
  void Flush(StoreBatch* batch);

 private:
  using ByNumber = absl::btree_map<uint64_t, LimitInstance*>;
  using Clock = absl::btree_map<absl::Time, ByNumber>;
  struct Namespace {
    ByName by_name;
    // Those that count tasks of a queue and type, by both; a cache.
    absl::flat_hash_map<std::string, std::vector<LiveLimit*>> matching;
  };

  LiveLimit* Add(const std::string& namespace_name, StoredLimit stored);
  absl::Status RecoverStates(absl::Time now);
  const std::vector<LiveLimit*>& Matching(Namespace* in,
                                          const LimitSubject& subject);
  static void SetRate(LiveLimit* limit);
  // full_time is by the limit's rate from here on.
  static void Rescale(LimitInstance* instance, absl::Time now);
  void RulesChanged(LiveLimit* limit);
  void LoadState(LimitInstance* instance);
  void TakeState(const StoredLimitState& state, LimitInstance* instance);
  void MarkDirty(LimitInstance* instance);
  // TakeFreed is to look at it, if a lane is parked.
  void MarkFreed(LimitInstance* instance);
  // Whether whoever is parked may go on. If time alone will tell, puts it on
  // the clock.
  bool IsFreed(LimitInstance* instance, absl::Time now);
  static void Put(Clock* clock, absl::Time* place, absl::Time time,
                  LimitInstance* instance);
  static void Remove(Clock* clock, absl::Time* place,
                     const LimitInstance& instance);
  // Users, points or pause changed: it may be over, or later.
  void UpdateIdle(LimitInstance* instance);
  void Forget(LimitInstance* instance);
  void WriteRow(LimitInstance* instance, StoreBatch* batch);
  void ShrinkIdle();

  const StoreReader* const reader_;
  const size_t idle_max_;
  absl::Time now_ = absl::InfinitePast();  // of this turn
  absl::Status failed_read_;
  std::map<std::string, Namespace> namespaces_;  // without empty ones
  std::map<const LiveLimit*, std::unique_ptr<LiveLimit>> deleted_;
  uint64_t revision_ = 1;
  uint64_t last_number_ = 0;
  ByNumber freed_;  // to be looked at by TakeFreed
  Clock clock_;     // by the time at which they may admit again
  Clock idle_;      // without users, by the time at which they are over
  size_t idle_count_ = 0;
  ByNumber dirty_;
  absl::btree_set<std::pair<std::string, std::string>> dirty_limits_;
  StoreBatch deletes_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LIMIT_TABLE_H_
