#ifndef APIUM_BROKER_ENGINE_BREAKER_TABLE_H_
#define APIUM_BROKER_ENGINE_BREAKER_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/breaker.h"
#include "broker/storage/dead_letter_codec.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::broker {

// How the attempts of the last while ended, in buckets of equal length: what
// leaves the window leaves it a bucket at a time.
class AttemptWindow {
 public:
  static constexpr size_t kBuckets = 10;
  struct Counts {
    uint64_t attempts = 0;
    uint64_t failures = 0;
  };

  explicit AttemptWindow(absl::Duration length) : bucket_(length / kBuckets) {}

  void Add(absl::Time now, bool failed);
  Counts In(absl::Time now) const;
  void Clear() { buckets_ = {}; }

 private:
  struct Bucket : Counts {
    int64_t number = -1;  // since 1970
  };
  int64_t NumberAt(absl::Time now) const {
    return (now - absl::UnixEpoch()) / bucket_;
  }

  absl::Duration bucket_;
  std::array<Bucket, kBuckets> buckets_;
};

// The circuit breaker of a type in memory. What it counted is forgotten by a
// restart, its state is not.
struct LiveBreaker {
  std::string namespace_name;
  std::string type;
  StoredBreaker stored;
  AttemptWindow window;
  uint64_t opened = 0;  // times, since the start

  // When it lets a task through, if it is open.
  absl::Time open_until() const {
    return stored.open_time + stored.settings.open_duration;
  }
};

// The breakers of all namespaces. Writes the breaker rows.
class BreakerTable {
 public:
  // `type_id` gives the number of a type.
  using TypeId =
      absl::FunctionRef<absl::StatusOr<uint32_t>(const std::string&)>;
  absl::Status Recover(const StoreReader& reader, TypeId type_id);

  bool empty() const { return breakers_.empty(); }
  size_t CountOf(const std::string& namespace_name) const;
  // Null: the type has none.
  LiveBreaker* Find(const std::string& namespace_name, const std::string& type);
  // A new one, or new settings; the state stays.
  LiveBreaker* Set(const std::string& namespace_name, const std::string& type,
                   uint32_t type_id, const BreakerSettings& settings);
  void Remove(const std::string& namespace_name, const std::string& type,
              uint32_t type_id);

  // Breakers of a namespace by the number of their type; a type beyond the end
  // has none.
  using ByType = std::vector<LiveBreaker*>;
  // Null: the namespace has none.
  const ByType* OfNamespace(const std::string& namespace_name) const {
    if (breakers_.empty()) return nullptr;
    const auto it = by_type_.find(namespace_name);
    return it == by_type_.end() ? nullptr : &it->second;
  }

  // An attempt of the type ended. Whether the breaker opened for it.
  bool Count(LiveBreaker* breaker, absl::Time now, bool failed);
  void Open(LiveBreaker* breaker, absl::Time now);
  void Close(LiveBreaker* breaker);
  // The lease that is tried; 0: none.
  void SetTrial(LiveBreaker* breaker, uint64_t epoch);
  // Breakers whose time has come let one task through.
  void HalfOpenDue(absl::Time now);
  absl::Time NextTime() const;

  // By namespace and type.
  template <typename Visitor>
  void ForEach(Visitor&& visit) const {
    for (const auto& [key, breaker] : breakers_) visit(*breaker);
  }

  void Flush(StoreBatch* batch);

 private:
  LiveBreaker* Add(const std::string& namespace_name, const std::string& type,
                   uint32_t type_id, StoredBreaker stored);
  void MarkDirty(LiveBreaker* breaker);
  void Enter(LiveBreaker* breaker, BreakerState state);

  std::map<std::string, std::unique_ptr<LiveBreaker>>
      breakers_;  // by namespace 0x00 type
  absl::flat_hash_map<std::string, ByType> by_type_;
  std::set<std::string> open_;   // keys
  std::set<std::string> dirty_;  // keys; one that is gone is deleted
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_BREAKER_TABLE_H_
