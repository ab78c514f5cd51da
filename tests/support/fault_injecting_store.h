#ifndef APIUM_TESTS_SUPPORT_FAULT_INJECTING_STORE_H_
#define APIUM_TESTS_SUPPORT_FAULT_INJECTING_STORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/store.h"

namespace apium {

// A Store that passes everything on to another one, and breaks its promises on
// command. Commands may be given from any thread, at any time but where they
// say otherwise.
class FaultInjectingStore final : public Store {
 public:
  explicit FaultInjectingStore(std::unique_ptr<Store> store);

  // After `successes` more Writes (Syncs), every Write and Sync fails with
  // `error` and does nothing, as Store promises of a failure.
  void FailWrites(absl::Status error, size_t successes = 0)
      ABSL_LOCKS_EXCLUDED(mu_);
  void FailSyncs(absl::Status error, size_t successes = 0)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Lies about durability: Sync answers OK, but what it should have synced
  // stays in this process, and reaches the wrapped store only `syncs` Syncs
  // later (0: never lies). A process that is killed loses acknowledged Writes.
  // So does one that ends in order. Reads see everything. Call it before the
  // first Write.
  void DelaySyncedWrites(size_t syncs) ABSL_LOCKS_EXCLUDED(mu_);

  // Forgets, from now on, every Put of a key that begins with `prefix`, and
  // answers OK.
  void DropRows(std::string prefix) ABSL_LOCKS_EXCLUDED(mu_);

  // From now on Syncs wait (before they do anything) until ReleaseSyncs.
  void HoldSyncs() ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseSyncs() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until a Sync is held. False if there is none within `timeout`.
  bool WaitForHeldSync(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes and Syncs that were answered OK.
  uint64_t write_count() const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t sync_count() const ABSL_LOCKS_EXCLUDED(mu_);

  // The store that this one wraps, to look at what has really arrived there.
  Store& wrapped() { return *store_; }

  absl::Status Get(std::string_view key, std::string* value) const override
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status MultiGet(absl::Span<const std::string> keys,
                        std::vector<std::optional<std::string>>* values)
      const override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Scan(
      std::string_view begin, std::string_view end,
      absl::FunctionRef<bool(std::string_view key, std::string_view value)>
          visit) const override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Write(const StoreBatch& batch) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Sync() override ABSL_LOCKS_EXCLUDED(mu_);
  StoreStats GetStats() const override { return store_->GetStats(); }

 private:
  class OverlayWriter;

  struct Failure {
    absl::Status error;  // OK: none is ordered
    size_t successes = 0;
  };
  // A row that has not reached the wrapped store: its value, or that it was
  // deleted. `generation` counts the Syncs before its Write.
  struct DelayedRow {
    std::optional<std::string> value;
    uint64_t generation = 0;
  };

  // The error if this operation fails now; then all later ones do.
  absl::Status NextOutcome(Failure* failure) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status DelayWrite(const StoreBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends the generation, and hands the one whose time has come to the store.
  absl::Status SyncDelayed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::unique_ptr<Store> store_;

  mutable absl::Mutex mu_;
  Failure write_failure_ ABSL_GUARDED_BY(mu_);
  Failure sync_failure_ ABSL_GUARDED_BY(mu_);
  absl::Status failed_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> dropped_prefixes_ ABSL_GUARDED_BY(mu_);
  bool hold_syncs_ ABSL_GUARDED_BY(mu_) = false;
  int held_syncs_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t write_count_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t sync_count_ ABSL_GUARDED_BY(mu_) = 0;

  size_t delay_syncs_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // The Writes of the generations that have not reached the store, oldest
  // first; the last one is not synced yet.
  std::deque<StoreBatch> delayed_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, DelayedRow, std::less<>> overlay_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_TESTS_SUPPORT_FAULT_INJECTING_STORE_H_
