#ifndef APIUM_STORAGE_MEMORY_STORE_H_
#define APIUM_STORAGE_MEMORY_STORE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/store.h"

namespace apium {

// A Store without a disk, for tests, simulations and `server dev` without a
// data folder: all is lost with the object. It still keeps apart what has been
// synced and what has not, so that a test can pull the plug at any moment.
class MemoryStore final : public Store {
 public:
  MemoryStore() = default;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

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
  StoreStats GetStats() const override ABSL_LOCKS_EXCLUDED(mu_);

  // Number of Writes since the last Sync.
  size_t unsynced_writes() const ABSL_LOCKS_EXCLUDED(mu_);

  // The store that a machine finds which lost power at this moment: everything
  // synced, and of the Writes since then the first `surviving_unsynced_writes`
  // (at most all), whole and in order, as a log on disk keeps them. All of it
  // counts as synced in the copy. This store is not changed. Any thread.
  std::unique_ptr<MemoryStore> CrashCopy(
      size_t surviving_unsynced_writes = 0) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Applier;

  using Rows = std::map<std::string, std::string, std::less<>>;
  // The rows that one Write touched, as they were before it, in the order of
  // its changes.
  using Undo = std::vector<std::pair<std::string, std::optional<std::string>>>;

  mutable absl::Mutex mu_;
  Rows rows_ ABSL_GUARDED_BY(mu_);
  size_t row_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<Undo> unsynced_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_STORAGE_MEMORY_STORE_H_
