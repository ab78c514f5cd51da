// What the features of queues cost: a task's life (submitted, dispatched,
// ended) in the engine over RocksDB, plain and with each of them, in one run.
//
//   bazel run //benchmarks:queue_features_benchmark
//
// Turns of 256 tasks with a backlog of 20,000 waiting; each turn is synced.

#include <cstdlib>
#include <filesystem>
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
#include "storage/rocksdb_store.h"

namespace apium::broker {
namespace {

constexpr size_t kTurnTasks = 256;
constexpr size_t kBacklog = 20'000;

class NullReplySink : public ReplySink {
 public:
  void Take(uint64_t, Reply&& reply) override {
    if (const auto* submit = std::get_if<SubmitReply>(&reply.body)) {
      APIUM_CHECK_OK(submit->status);
    }
  }
};

class NullWorkerSink : public WorkerSink {
 public:
  void Take(WorkerPush&&) override {}
};

// An engine over a store of its own with one worker that is never full.
class Shard {
 public:
  Shard() {
    static int count = 0;
    path_ = absl::StrCat("/tmp/apium-queue-features-benchmark/", ++count);
    std::filesystem::remove_all(path_);
    RocksDbOptions options;
    options.path = path_;
    auto store = RocksDbStore::Open(options);
    APIUM_CHECK_OK(store.status());
    store_ = *std::move(store);
    auto engine = Engine::Recover({}, store_.get(), absl::Now());
    APIUM_CHECK_OK(engine.status());
    engine_ = *std::move(engine);
    OpenSessionCommand open;
    open.sink = worker_;
    open.namespace_name = "default";
    open.worker_id = "w";
    open.task_types = {"apium.noop"};
    open.queues = {"default"};
    Apply(std::move(open));
    Turn();
  }
  ~Shard() {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(path_);
  }

  template <typename CommandType>
  void Ask(CommandType command) {
    command.reply.sink = replies_;
    Apply(std::move(command));
  }
  void Apply(Command command) { commands_.push_back(std::move(command)); }

  // Applies what was given; then all that was delivered has ended.
  void Turn() {
    effects_.Clear();
    APIUM_CHECK_OK(engine_->BeginTurn({.now = absl::Now()}));
    for (Command& command : commands_) {
      APIUM_CHECK_OK(engine_->Apply(std::move(command)));
    }
    commands_.clear();
    APIUM_CHECK_OK(
        engine_->Apply(OutboxConfirmedCommand{.position = position_}));
    APIUM_CHECK_OK(engine_->EndTurn(&effects_));
    APIUM_CHECK_OK(store_->Write(effects_.writes));
    APIUM_CHECK_OK(store_->Sync());
    for (AddressedReply& reply : effects_.replies) {
      reply.to.sink->Take(reply.to.tag, std::move(reply.reply));
    }
    for (AddressedPush& push : effects_.pushes) {
      const auto* delivery = std::get_if<Delivery>(&push.push.body);
      if (delivery == nullptr) continue;
      ends_.push_back({.lease = {.task_id = delivery->content->task_id,
                                 .attempt = delivery->attempt,
                                 .epoch = delivery->epoch}});
    }
    if (!effects_.outbox.empty()) position_ = effects_.outbox.back().position;
  }
  // Ends of what was delivered, and credit for as many and `more`.
  size_t EndAll(size_t more) {
    const size_t ended = ends_.size();
    WorkerReportCommand report;
    report.sink = worker_;
    report.outcomes = std::exchange(ends_, {});
    report.credit = static_cast<uint32_t>(ended + more);
    Apply(std::move(report));
    return ended;
  }

 private:
  std::string path_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Engine> engine_;
  std::shared_ptr<NullReplySink> replies_ = std::make_shared<NullReplySink>();
  std::shared_ptr<NullWorkerSink> worker_ = std::make_shared<NullWorkerSink>();
  std::vector<Command> commands_;
  std::vector<ExecutionReport> ends_;
  Effects effects_;
  uint64_t position_ = 0;
};

// Makes the n-th task.
using MakeTask = SubmitCommand (*)(size_t n);

SubmitCommand Plain(size_t) {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "default";
  content->type = "apium.noop";
  content->queue = "default";
  content->payload.data = std::string(100, 'x');
  return {.content = std::move(content)};
}

SubmitCommand Priorities(size_t n) {
  SubmitCommand submit = Plain(n);
  submit.content->priority = static_cast<uint8_t>(n % 10 * 25);
  return submit;
}

SubmitCommand With(Placement placement) {
  SubmitCommand submit = Plain(0);
  submit.content->placement = std::make_shared<Placement>(std::move(placement));
  return submit;
}

SubmitCommand Tenants(size_t n) {
  return With({.fairness_key = absl::StrCat("tenant", n % 1'000)});
}

SubmitCommand OrderingKeys(size_t n) {
  return With({.ordering_key = absl::StrCat("key", n * 7919 % 100'000)});
}

SubmitCommand LimitKeys(size_t n) {
  return With({.limit_keys = {{"customer", absl::StrCat(n % 100)}}});
}

SubmitCommand Routed(size_t n) {
  SubmitCommand submit = Plain(n);
  submit.content->queue.clear();
  submit.route = std::make_shared<Route>(Route{
      .exchange = "events", .routing_key = absl::StrCat("a", n % 999, ".b.c")});
  return submit;
}

void Limit(Shard* shard, LimitPartition partition, uint32_t max_concurrency) {
  shard->Ask(CreateLimitCommand{
      .namespace_name = "default",
      .limit = {.name = "limit",
                .partition = partition,
                .key = partition == LimitPartition::kKey ? "customer" : "",
                .settings = {.max_concurrency = max_concurrency}}});
}

// A thousand bindings, one of which matches each task.
void Bind(Shard* shard) {
  shard->Ask(CreateExchangeCommand{
      .namespace_name = "default",
      .exchange = {.name = "events", .type = ExchangeType::kTopic}});
  for (int i = 0; i < 999; ++i) {
    shard->Ask(CreateBindingCommand{
        .namespace_name = "default",
        .binding = {.exchange = "events",
                    .queue = "default",
                    .routing_key = absl::StrCat("a", i, ".*.#")}});
  }
  shard->Ask(CreateBindingCommand{
      .namespace_name = "default",
      .binding = {
          .exchange = "events", .queue = "default", .routing_key = "#.never"}});
}

void Run(benchmark::State& state, MakeTask make, size_t credit,
         void (*prepare)(Shard*)) {
  Shard shard;
  prepare(&shard);
  shard.Turn();
  size_t n = 0;
  while (n < kBacklog) {
    for (size_t i = 0; i < kTurnTasks; ++i) shard.Ask(make(n++));
    shard.Turn();
  }
  shard.EndAll(credit);
  shard.Turn();
  size_t tasks = 0;
  for (auto _ : state) {
    // As many come as went, so that the backlog stays.
    const size_t ended = shard.EndAll(0);
    for (size_t i = 0; i < ended; ++i) shard.Ask(make(n++));
    shard.Turn();
    tasks += ended;
  }
  state.SetItemsProcessed(static_cast<int64_t>(tasks));
}

void Nothing(Shard*) {}

BENCHMARK_CAPTURE(Run, plain, Plain, kTurnTasks, Nothing);
BENCHMARK_CAPTURE(Run, ten_priorities, Priorities, kTurnTasks, Nothing);
BENCHMARK_CAPTURE(Run, thousand_tenants, Tenants, kTurnTasks, Nothing);
BENCHMARK_CAPTURE(Run, hundred_thousand_ordering_keys, OrderingKeys, kTurnTasks,
                  Nothing);
BENCHMARK_CAPTURE(Run, limit_that_does_not_bind, Plain, kTurnTasks,
                  [](Shard* shard) {
                    Limit(shard, LimitPartition::kNone, 1'000'000);
                  });
BENCHMARK_CAPTURE(Run, limit_by_key_that_does_not_bind, LimitKeys, kTurnTasks,
                  [](Shard* shard) {
                    Limit(shard, LimitPartition::kKey, 1'000'000);
                  });
// Credit for more, so that only the limit holds tasks up.
BENCHMARK_CAPTURE(Run, limit_that_binds, Plain, 2 * kTurnTasks,
                  [](Shard* shard) {
                    Limit(shard, LimitPartition::kNone, kTurnTasks);
                  });
BENCHMARK_CAPTURE(Run, limit_by_key_that_binds, LimitKeys, 4 * kTurnTasks,
                  [](Shard* shard) { Limit(shard, LimitPartition::kKey, 2); });
BENCHMARK_CAPTURE(Run, thousand_topic_bindings, Routed, kTurnTasks, Bind);

}  // namespace
}  // namespace apium::broker
