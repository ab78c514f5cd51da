// What an outcome costs the result service's core and store, without gRPC:
// `batches` messages of `outcomes` each in a group, over RocksDB, synced once a
// group. CPU is that of the process, flushes and compactions included.
//
//   bazel run //benchmarks:result_core_benchmark

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "apium/v1/result_service.pb.h"
#include "benchmark/benchmark.h"
#include "common/check.h"
#include "common/strings.h"
#include "common/uuid.h"
#include "results/result_core.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"

namespace apium::results {
namespace {

constexpr CallId kStream{1};

std::unique_ptr<Store> OpenStore(bool on_disk) {
  if (!on_disk) {
    return std::make_unique<MemoryStore>();
  }
  RocksDbOptions options;
  options.path = "/tmp/apium-result-core-benchmark";
  std::filesystem::remove_all(options.path);
  auto store = RocksDbStore::Open(options);
  APIUM_CHECK_OK(store);
  return *std::move(store);
}

// Fills `message` as a parser would: the strings keep their memory.
void Fill(int outcomes, uint64_t position, UuidV7Generator* ids,
          v1::PublishOutcomesRequest* message) {
  v1::OutcomeBatch* batch = message->mutable_batch();
  batch->Clear();
  batch->set_position(position);
  const absl::Time now = absl::Now();
  for (int i = 0; i < outcomes; ++i) {
    v1::TaskOutcome* outcome = batch->add_outcomes();
    outcome->set_namespace_("default");
    outcome->set_task_id(ids->Next(now));
    outcome->set_type("apium.noop");
    outcome->set_queue("default");
    outcome->set_state(v1::TASK_STATE_SUCCEEDED);
    outcome->mutable_result()->set_data(std::string(100, 'x'));
    outcome->set_attempt(1);
    outcome->set_epoch(position);
    outcome->mutable_finish_time()->set_seconds(absl::ToUnixSeconds(now));
    outcome->set_worker_id("worker-1");
  }
}

// Arguments: outcomes in a message, messages in a group, 1 on RocksDB.
void BM_Publish(benchmark::State& state) {
  const int outcomes = static_cast<int>(state.range(0));
  const int batches = static_cast<int>(state.range(1));
  std::unique_ptr<Store> store = OpenStore(state.range(2) != 0);
  ResultCore core(ResultCoreOptions(), store.get());
  StoreBatch identity;
  APIUM_CHECK_OK(core.Recover("benchmark", &identity));
  UuidV7Generator ids;
  std::vector<ResultCommand> commands;
  std::vector<std::unique_ptr<v1::PublishOutcomesRequest>> free;
  commands.push_back(PublishBegin{.stream = kStream, .shard_id = "s"});
  ResultEffects effects;
  uint64_t position = 0;
  int64_t recorded = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (int i = 0; i < batches; ++i) {
      if (free.empty()) {
        free.push_back(std::make_unique<v1::PublishOutcomesRequest>());
      }
      Fill(outcomes, ++position, &ids, free.back().get());
      commands.push_back(
          PublishBatch{.stream = kStream, .message = std::move(free.back())});
      free.pop_back();
    }
    state.ResumeTiming();
    APIUM_CHECK_OK(core.Apply(
        &commands, {.wall = absl::Now(), .monotonic = absl::Seconds(1)},
        &effects));
    APIUM_CHECK_OK(store->Write(effects.writes));
    APIUM_CHECK_OK(store->Sync());
    recorded += static_cast<int64_t>(effects.outcomes_recorded);
    for (auto& message : effects.spent) {
      free.push_back(std::move(message));
    }
    effects = ResultEffects();
  }
  APIUM_CHECK(recorded == state.iterations() * outcomes * batches);
  state.SetItemsProcessed(recorded);
  state.counters["cpu_per_outcome"] = benchmark::Counter(
      static_cast<double>(recorded),
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_Publish)
    ->ArgsProduct({{1, 64}, {1, 4, 16}, {0, 1}})
    ->MeasureProcessCPUTime()
    ->MinTime(2);

}  // namespace
}  // namespace apium::results
