// What a task costs the broker's engine and store, without gRPC: submitted,
// dispatched, ended, in turns of `batch` tasks over RocksDB, synced once a
// turn.
//
//   bazel run //benchmarks:engine_benchmark

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmark/benchmark.h"
#include "broker/engine/engine.h"
#include "common/check.h"
#include "common/uuid.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"

namespace apium::broker {
namespace {

class NullReplySink : public ReplySink {
 public:
  void Take(uint64_t, Reply&&) override {}
};

class NullWorkerSink : public WorkerSink {
 public:
  void Take(WorkerPush&&) override {}
};

SubmitCommand MakeSubmit(const std::shared_ptr<ReplySink>& sink,
                         std::string task_id) {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "default";
  content->task_id = std::move(task_id);
  content->type = "apium.noop";
  content->queue = "default";
  content->payload.data = std::string(100, 'x');
  return {.reply = {.sink = sink}, .content = std::move(content)};
}

std::unique_ptr<Store> OpenStore(bool on_disk) {
  if (!on_disk) return std::make_unique<MemoryStore>();
  static int count = 0;
  RocksDbOptions options;
  options.path = absl::StrCat("/tmp/apium-engine-benchmark/", ++count);
  auto store = RocksDbStore::Open(options);
  APIUM_CHECK_OK(store.status());
  return *std::move(store);
}

// Arguments: tasks in a turn; 1 on RocksDB, 0 in memory; 1 if submitters choose
// the ids.
void BM_TaskLife(benchmark::State& state) {
  const size_t batch = static_cast<size_t>(state.range(0));
  const bool on_disk = state.range(1) != 0;
  const bool chosen_ids = state.range(2) != 0;
  std::unique_ptr<Store> store = OpenStore(on_disk);
  auto engine = Engine::Recover({}, store.get(), absl::Now());
  APIUM_CHECK_OK(engine.status());
  auto replies = std::make_shared<NullReplySink>();
  auto worker = std::make_shared<NullWorkerSink>();
  Effects effects;
  std::vector<ExecutionReport> reports;
  UuidV7Generator ids(7);
  uint64_t position = 0;
  const auto turn = [&](auto&& apply) {
    effects.Clear();
    APIUM_CHECK_OK((*engine)->BeginTurn({.now = absl::Now()}));
    apply();
    APIUM_CHECK_OK((*engine)->EndTurn(&effects));
    APIUM_CHECK_OK(store->Write(effects.writes));
    APIUM_CHECK_OK(store->Sync());
  };
  turn([&] {
    OpenSessionCommand open;
    open.sink = worker;
    open.namespace_name = "default";
    open.worker_id = "w";
    open.task_types = {"apium.noop"};
    open.queues = {"default"};
    APIUM_CHECK_OK((*engine)->Apply(std::move(open)));
    WorkerReportCommand credit;
    credit.sink = worker;
    credit.credit = 60000;
    APIUM_CHECK_OK((*engine)->Apply(std::move(credit)));
  });
  for (auto _ : state) {
    turn([&] {
      WorkerReportCommand report;
      report.sink = worker;
      report.credit = static_cast<uint32_t>(reports.size());
      report.outcomes = std::move(reports);
      reports.clear();
      APIUM_CHECK_OK((*engine)->Apply(std::move(report)));
      const absl::Time now = absl::Now();
      for (size_t i = 0; i < batch; ++i) {
        APIUM_CHECK_OK((*engine)->Apply(
            MakeSubmit(replies, chosen_ids ? ids.Next(now) : "")));
      }
      APIUM_CHECK_OK(
          (*engine)->Apply(OutboxConfirmedCommand{.position = position}));
    });
    for (AddressedPush& push : effects.pushes) {
      auto* delivery = std::get_if<Delivery>(&push.push.body);
      if (delivery == nullptr) continue;
      ExecutionReport report;
      report.lease = {.task_id = delivery->content->task_id,
                      .attempt = delivery->attempt,
                      .epoch = delivery->epoch};
      report.result.data = std::string(32, 'r');
      reports.push_back(std::move(report));
    }
    if (!effects.outbox.empty()) position = effects.outbox.back().position;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TaskLife)
    ->Args({64, 0, 0})
    ->Args({64, 0, 1})
    ->Args({64, 1, 0})
    ->Args({64, 1, 1})
    ->Args({1024, 1, 1})
    ->Args({1, 1, 1});

}  // namespace
}  // namespace apium::broker
