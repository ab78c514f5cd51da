#include "worker/slot_ledger.h"

#include <algorithm>

#include "common/check.h"

namespace apium {
namespace {

uint32_t ShareOf(uint32_t capacity, size_t brokers) {
  if (brokers == 1) return capacity;
  // Half is reserved in equal shares, half is for whoever is busy.
  return std::max<uint32_t>(1, capacity / (2 * brokers));
}

}  // namespace

SlotLedger::SlotLedger(uint32_t capacity, size_t brokers)
    : capacity_(std::max<uint32_t>(capacity, brokers)),
      share_(ShareOf(capacity_, brokers)),
      unreserved_free_(capacity_ - share_ * brokers),
      accounts_(brokers) {
  APIUM_CHECK(capacity >= 1 && brokers >= 1);
}

uint32_t SlotLedger::Take(size_t broker, uint32_t want) {
  absl::MutexLock lock(&mu_);
  Account& account = accounts_[broker];
  const uint32_t reserved_left =
      account.held < share_ ? share_ - account.held : 0;
  const uint32_t reserved = std::min(want, reserved_left);
  const uint32_t unreserved = std::min(want - reserved, unreserved_free_);
  unreserved_free_ -= unreserved;
  account.held += reserved + unreserved;
  account.wants_more = reserved + unreserved < want;
  return reserved + unreserved;
}

bool SlotLedger::Give(size_t broker, uint32_t count) {
  if (count == 0) return false;
  absl::MutexLock lock(&mu_);
  Account& account = accounts_[broker];
  APIUM_CHECK(count <= account.held)
      << "gave back " << count << " places of " << account.held;
  const uint32_t beyond_share =
      account.held > share_ ? account.held - share_ : 0;
  const uint32_t freed = std::min(count, beyond_share);
  account.held -= count;
  unreserved_free_ += freed;
  if (freed == 0) return false;
  for (size_t i = 0; i < accounts_.size(); ++i) {
    if (i != broker && accounts_[i].wants_more) return true;
  }
  return false;
}

uint32_t SlotLedger::held(size_t broker) const {
  absl::MutexLock lock(&mu_);
  return accounts_[broker].held;
}

}  // namespace apium
