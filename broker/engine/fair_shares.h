#ifndef APIUM_BROKER_ENGINE_FAIR_SHARES_H_
#define APIUM_BROKER_ENGINE_FAIR_SHARES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace apium::broker {

struct Lane;

// One tenant of a queue: those of its tasks that have the same fairness key.
struct Tenant {
  std::string key;
  double weight = 1;
  // Worker time that it was charged with, divided by its weight, in
  // nanoseconds: whoever has the least is next.
  int64_t virtual_nanos = 0;
  // Of its attempts so far, the latest counting most; negative: none ended.
  int64_t mean_nanos = -1;
  std::vector<Lane*> lanes;  // those that wait
  uint64_t lane_count = 0;   // all that exist
  uint64_t charged = 0;  // attempts that run and are charged with an estimate
};

// Shares the workers' time of one queue between its tenants by their weights.
//
// Deficit round robin, charged by measured time, with the quantum as small as
// can be: the tenant to which most is owed is next. What an attempt will take
// is not known when it begins, so its tenant is charged with the mean of its
// attempts, and the difference is settled at the end. A tenant that had nothing
// waiting, or that a limit held up, has saved nothing: it begins where the one
// that was served last was. In memory only: after a restart all begin even.
class FairShares {
 public:
  FairShares();

  // Made on first use.
  Tenant* TenantOf(const std::string& key);
  // Null if it has neither lanes nor a debt.
  Tenant* Find(const std::string& key) const;
  // Whether there is anything to share: more than one tenant.
  bool shared() const { return tenants_.size() > 1; }

  // The tenant, which had nothing that could be dispatched, has again.
  void Activate(Tenant* tenant);
  // An attempt of the tenant begins: what it is charged with.
  absl::Duration Charge(Tenant* tenant);
  // The attempt, which was charged so, took `actual`.
  void Settle(Tenant* tenant, absl::Duration charged, absl::Duration actual);
  // A lane of the tenant has gone.
  void DropLane(Tenant* tenant);

  size_t size() const { return tenants_.size(); }

 private:
  bool IsIdle(const Tenant& tenant) const {
    return tenant.lane_count == 0 && tenant.charged == 0;
  }
  void ForgetIdle();

  absl::flat_hash_map<std::string, std::unique_ptr<Tenant>> tenants_;
  int64_t served_nanos_ = 0;  // of the tenant that was served last
  int64_t mean_nanos_;        // over all tenants
  size_t forget_at_;          // size at which idle tenants are looked for
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_FAIR_SHARES_H_
