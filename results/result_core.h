// The result service's decisions, without clock, thread, disk or network.
//
//   gRPC reactors --commands--> ResultLoop --> core.Apply(commands, now)
//        ^                                             | effects
//        +--- confirmations, replies, pushes <-- sync <-+ writes
//
// Apply takes a group, everything that waits, and not one command, because what
// a group records in a namespace is one log row, and its outcomes are written
// as one run of sorted keys: with a row of the log for each outcome, the
// memtable alone would cost more than all the rest.

#ifndef APIUM_RESULTS_RESULT_CORE_H_
#define APIUM_RESULTS_RESULT_CORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "common/recent_ids.h"
#include "results/command.h"
#include "results/effects.h"
#include "results/log_reader.h"
#include "results/publisher_table.h"
#include "results/row_format.h"
#include "results/waiter_table.h"
#include "results/watch_table.h"
#include "storage/store.h"
#include "storage/store_batch.h"

namespace apium::results {

struct ResultCoreOptions {
  // Of outcomes that do not say. In [1 s, kResultTtlMax].
  absl::Duration result_ttl = kResultTtlDefault;
  size_t waiters_max = 100'000;
  WatchTableOptions watches;
};

// One thread. Same commands, times and store: same effects.
class ResultCore {
 public:
  // Borrows `store`, which must hold every write of the effects of earlier
  // groups when Apply is called, and nothing of other writers.
  ResultCore(ResultCoreOptions options, const StoreReader* store);
  ResultCore(const ResultCore&) = delete;
  ResultCore& operator=(const ResultCore&) = delete;

  // Once, before the rest: reads how far the store is. `new_store_id` becomes
  // the identity of a store that has none; it is written by `writes`, which are
  // to be synced before anything else happens. DATA_LOSS: the store is damaged.
  absl::Status Recover(std::string_view new_store_id, StoreBatch* writes);
  const std::string& store_id() const { return store_id_; }

  // Carries out `commands`, in order, and what is due at `now`. `effects` is
  // empty before. Consumes the commands. An error of the store means that
  // nothing can be decided any more: stop, and release nothing.
  absl::Status Apply(std::vector<ResultCommand>* commands, ResultNow now,
                     ResultEffects* effects);

  // When Apply wants to be called again even without commands, monotonic:
  // zero is at once, infinite is never.
  absl::Duration NextWake() const;

  // Ends all that is open with `status`. Nothing may follow.
  void Stop(const absl::Status& status, ResultEffects* effects);

  size_t waiter_count() const { return waiters_.size(); }
  size_t watcher_count() const { return watches_.size(); }
  size_t publisher_count() const { return publishers_.stream_count(); }

 private:
  struct Recorded {
    uint32_t slot = 0;
    v1::TaskOutcome* outcome = nullptr;
  };
  struct Namespace {
    std::string name;
    uint64_t head = 0;               // last row of the log
    std::vector<Recorded> recorded;  // by this group, in order
  };
  // What a group knows of one outcome key.
  struct Slot {
    const std::string* stored = nullptr;  // its row, expired or not
    bool live = false;       // stored, and neither expired nor forgotten
    bool forgotten = false;  // by this group
    v1::TaskOutcome* pending = nullptr;  // recorded by this group
    int64_t ttl_ms = 0;                  // of `pending`
    uint64_t position = 0;               // of `pending`
    uint32_t size = 0;                   // of the row of `pending`
  };

  Namespace* FindOrAddNamespace(const std::string& name);
  uint64_t HeadOf(const std::string& name_space) const;

  // The group, step by step: decides which batches are recorded and collects
  // the keys that the commands use; reads those keys; carries out the commands;
  // makes the rows.
  void CollectUses(std::vector<ResultCommand>* commands,
                   ResultEffects* effects);
  bool AdmitBatch(PublishBatch* batch, ResultEffects* effects);
  uint32_t AddUse(std::string_view name_space, std::string_view task_id);
  absl::Status RecoverIds();
  absl::Status LoadSlots();
  absl::Status CarryOut(ResultCommand& command, uint32_t use,
                        ResultEffects* effects);
  void WriteOutcomes(ResultEffects* effects);
  void WriteLogs(ResultEffects* effects);
  // False when all that was recorded was forgotten in the same group.
  bool AppendLogRow(Namespace* name_space, ResultEffects* effects);

  void Record(v1::TaskOutcome* outcome, uint32_t use, ResultEffects* effects);
  // Sets the reply to the slot's outcome; false if there is none.
  absl::StatusOr<bool> AnswerFrom(uint32_t use, const std::string& name_space,
                                  const std::string& task_id,
                                  Reply* reply) const;
  absl::Status Wait(const WaitResult& wait, uint32_t use,
                    ResultEffects* effects);
  Reply Forget(const ForgetResult& forget, uint32_t use);
  Reply List(const ListResults& list) const;
  void TimeOutWaiters(ResultEffects* effects);

  const ResultCoreOptions options_;
  const int64_t default_ttl_ms_;
  const StoreReader* const store_;
  const LogReader reader_;
  std::string store_id_;
  uint64_t store_tag_ = 0;

  std::optional<RecentIds> recent_ids_;  // set by Recover
  PublisherTable publishers_;
  WaiterTable waiters_;
  WatchTable watches_;
  absl::flat_hash_map<std::string, std::unique_ptr<Namespace>> namespaces_;

  // --- Of the group that Apply works on; kept for their memory. ---
  ResultNow now_;
  int64_t now_ms_ = 0;  // never backwards
  // A use is one mention of a key by a command, a slot one distinct key.
  std::vector<std::string> use_keys_;  // [0, use_count_)
  size_t use_count_ = 0;
  std::vector<uint32_t> order_;  // uses, sorted by key
  std::vector<uint32_t> slot_of_use_;
  std::vector<std::string> slot_keys_;  // [0, slots_.size()), sorted
  std::vector<Slot> slots_;
  std::vector<size_t> lookups_;                     // slots that need a look
  std::vector<std::string> lookup_keys_;            // theirs
  std::vector<std::optional<std::string>> stored_;  // their rows
  std::vector<uint32_t> first_use_;                 // of each command
  std::vector<Namespace*> touched_;                 // those with `recorded`
  std::vector<AppendedOutcome> appended_;
  LogRowBuilder log_row_;
  std::string value_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_RESULT_CORE_H_
