#include "broker/engine/fair_shares.h"

#include <algorithm>

namespace apium::broker {
namespace {

// What an attempt is taken to need before any of the queue has ended.
constexpr int64_t kFirstGuessNanos = 100'000'000;

// Share of the latest attempt in the mean.
constexpr double kMeanGain = 0.2;

// An attempt costs something however short it is, or tenants of instant tasks
// would not take turns.
constexpr int64_t kLeastNanos = 1'000;

// Tenants that have nothing waiting or running, but a debt, are remembered up
// to this number.
constexpr size_t kIdleTenantsMax = 10'000;

void Blend(int64_t sample, int64_t* mean) {
  *mean +=
      static_cast<int64_t>(kMeanGain * static_cast<double>(sample - *mean));
}

}  // namespace

FairShares::FairShares()
    : mean_nanos_(kFirstGuessNanos), forget_at_(kIdleTenantsMax) {}

Tenant* FairShares::TenantOf(const std::string& key) {
  std::unique_ptr<Tenant>& tenant = tenants_[key];
  if (tenant == nullptr) {
    tenant = std::make_unique<Tenant>();
    tenant->key = key;
    tenant->virtual_nanos = served_nanos_;
  }
  return tenant.get();
}

Tenant* FairShares::Find(const std::string& key) const {
  const auto it = tenants_.find(key);
  return it == tenants_.end() ? nullptr : it->second.get();
}

void FairShares::Activate(Tenant* tenant) {
  tenant->virtual_nanos = std::max(tenant->virtual_nanos, served_nanos_);
}

absl::Duration FairShares::Charge(Tenant* tenant) {
  const int64_t estimate = std::max(
      tenant->mean_nanos < 0 ? mean_nanos_ : tenant->mean_nanos, kLeastNanos);
  served_nanos_ = std::max(served_nanos_, tenant->virtual_nanos);
  tenant->virtual_nanos +=
      static_cast<int64_t>(static_cast<double>(estimate) / tenant->weight);
  ++tenant->charged;
  return absl::Nanoseconds(estimate);
}

void FairShares::Settle(Tenant* tenant, absl::Duration charged,
                        absl::Duration actual) {
  const int64_t nanos = std::max(absl::ToInt64Nanoseconds(actual), kLeastNanos);
  const int64_t owed = nanos - absl::ToInt64Nanoseconds(charged);
  tenant->virtual_nanos +=
      static_cast<int64_t>(static_cast<double>(owed) / tenant->weight);
  if (tenant->mean_nanos < 0) tenant->mean_nanos = nanos;
  Blend(nanos, &tenant->mean_nanos);
  Blend(nanos, &mean_nanos_);
  --tenant->charged;
  if (IsIdle(*tenant)) ForgetIdle();
}

void FairShares::DropLane(Tenant* tenant) {
  --tenant->lane_count;
  if (IsIdle(*tenant)) ForgetIdle();
}

void FairShares::ForgetIdle() {
  if (tenants_.size() < forget_at_) return;
  absl::erase_if(tenants_, [this](const auto& entry) {
    return IsIdle(*entry.second) &&
           entry.second->virtual_nanos <= served_nanos_;
  });
  if (tenants_.size() >= forget_at_) {
    absl::erase_if(tenants_,
                   [this](const auto& entry) { return IsIdle(*entry.second); });
  }
  forget_at_ = std::max(kIdleTenantsMax, 2 * tenants_.size());
}

}  // namespace apium::broker
