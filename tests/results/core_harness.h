#ifndef APIUM_TESTS_RESULTS_CORE_HARNESS_H_
#define APIUM_TESTS_RESULTS_CORE_HARNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "results/result_core.h"
#include "storage/memory_store.h"

namespace apium::results {

// A SUCCEEDED outcome of task `id`: queue "q", type "t", result data "r-<id>".
v1::TaskOutcome Outcome(const std::string& id);

// Drives a ResultCore on a memory store and a clock that stands still, and says
// what it does in text. Commands wait until Step, which applies them as one
// group.
//
//   CoreHarness h;
//   h.Hello(1, "s1");
//   h.Publish(1, 1, {Outcome("a")});
//   h.Get(2, "a");
//   EXPECT_EQ(h.Step(), "confirm 1: 1 (2 done)\nreply 2: a SUCCEEDED\n");
class CoreHarness {
 public:
  explicit CoreHarness(ResultCoreOptions options = {});

  void Hello(uint64_t stream, const std::string& shard_id);
  void Publish(uint64_t stream, uint64_t position,
               const std::vector<v1::TaskOutcome>& outcomes);
  void EndPublish(uint64_t stream);
  void Get(uint64_t call, const std::string& id,
           const std::string& name_space = "default");
  void Wait(uint64_t call, const std::string& id,
            absl::Duration timeout = absl::InfiniteDuration());
  void CancelWait(uint64_t call);
  void Forget(uint64_t call, const std::string& id);
  void List(uint64_t call, ListResults list);
  // The default page of all results.
  void List(uint64_t call, size_t page_size = 100,
            const std::string& page_token = "");
  void Watch(uint64_t stream, const std::string& after_cursor,
             const ResultFilter& filter = {}, bool with_data = true);
  void Taken(uint64_t stream, size_t bytes);
  void EndWatch(uint64_t stream);

  // Applies what waits as one group, writes and syncs, and gives what is
  // released, a line for each, in order.
  std::string Step();
  // Steps until the core wants no more, as the loop does.
  std::string StepAll();
  // As Step, but without the sync: nothing is released before Sync.
  void StepUnsynced();
  // Syncs, and gives what all groups since the last sync release.
  std::string Sync();
  // The machine loses power: of the unsynced writes only the first
  // `surviving_writes` remain, nothing is released, and a new core begins.
  void Crash(size_t surviving_writes);
  void StepAndCrash(size_t surviving_writes) {
    StepUnsynced();
    Crash(surviving_writes);
  }
  void Restart();

  void Advance(absl::Duration step);
  // Removes expired rows, as compaction does. Between syncs only.
  void Compact();
  std::string Stop();

  ResultCore& core() { return *core_; }
  MemoryStore& store() { return *store_; }
  absl::Time now() const { return now_.wall; }
  // Of the last page and of the last push to the stream.
  const std::string& page_token() const { return page_token_; }
  const std::string& cursor(uint64_t stream) { return cursors_[stream]; }
  // Bytes pushed to the stream, for Taken.
  size_t pushed_bytes(uint64_t stream) { return pushed_bytes_[stream]; }

  // Sees each group's effects before their text is made.
  std::function<void(const ResultEffects&)> on_release;

 private:
  std::string Text(const ResultEffects& effects);

  const ResultCoreOptions options_;
  std::unique_ptr<MemoryStore> store_;
  std::unique_ptr<ResultCore> core_;
  ResultNow now_;
  std::vector<ResultCommand> commands_;
  std::vector<std::unique_ptr<ResultEffects>> unsynced_;
  std::string page_token_;
  std::map<uint64_t, std::string> cursors_;
  std::map<uint64_t, size_t> pushed_bytes_;
};

}  // namespace apium::results

#endif  // APIUM_TESTS_RESULTS_CORE_HARNESS_H_
