// Starts the real binaries, loads them, and prints what they did: a table, or
// JSON. bench.sh calls it.

#include <cstddef>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/platform/delayed.h"
#include "benchmarks/platform/loads.h"
#include "benchmarks/platform/platform.h"
#include "common/check.h"
#include "common/process_init.h"
#include "nlohmann/json.hpp"

namespace apium::benchmark {
namespace {

constexpr size_t kMebibyte = 1024 * 1024;
// As the ceiling program, which this one is compared with.
constexpr size_t kWindowBulk = 8192;
// What a filled memtable and its flush take is not what a backlog costs.
constexpr absl::Duration kSettle = absl::Seconds(3);

constexpr int kCancelledTasks = 200;
constexpr size_t kTimedTasks = 2000;
constexpr absl::Duration kTimedSpan = absl::Seconds(5);

struct Flags {
  PlatformOptions platform;
  std::string json_file;
  double seconds = 3;
  size_t backlog = 1000000;
  size_t drain = 200000;
  size_t delayed = 1000000;
  std::string only;
  std::string load;
};

class Report {
 public:
  void Add(const Measurement& m) {
    std::cout << absl::StreamFormat(
        "%-40s %10.0f/s  p50 %7.0f us  p99 %7.0f us  CPU us/task: client "
        "%5.1f broker %5.1f worker %5.1f results %5.1f\n",
        m.name, m.per_second, absl::ToDoubleMicroseconds(m.p50),
        absl::ToDoubleMicroseconds(m.p99), m.client_cpu, m.broker_cpu,
        m.worker_cpu, m.results_cpu);
    std::cout.flush();
    json_["loads"][m.name] = {{"per_second", m.per_second},
                              {"p50_us", absl::ToDoubleMicroseconds(m.p50)},
                              {"p99_us", absl::ToDoubleMicroseconds(m.p99)},
                              {"client_cpu_us", m.client_cpu},
                              {"broker_cpu_us", m.broker_cpu},
                              {"worker_cpu_us", m.worker_cpu},
                              {"results_cpu_us", m.results_cpu}};
  }
  void Add(const std::string& name, double value, const std::string& unit) {
    std::cout << absl::StreamFormat("%-40s %10.1f %s\n", name, value, unit);
    std::cout.flush();
    json_["figures"][name] = {{"value", value}, {"unit", unit}};
  }
  const nlohmann::json& json() const { return json_; }

 private:
  nlohmann::json json_;
};

double Mebibytes(ChildProcess& process) {
  return static_cast<double>(process.ResidentBytes()) / kMebibyte;
}

void RunLoads(const Flags& flags, Report* report) {
  const absl::Duration duration = absl::Seconds(flags.seconds);
  auto platform = Platform::Start(flags.platform);
  report->Add("idle memory: broker", Mebibytes(platform->broker()), "MiB");
  report->Add("idle memory: results", Mebibytes(platform->result_service()),
              "MiB");
  report->Add("idle memory: worker", Mebibytes(platform->worker()), "MiB");
  const auto wanted = [&](const std::string& load) {
    return flags.load.empty() || flags.load == load;
  };
  if (wanted("sequential")) {
    for (bool stream : {true, false}) {
      report->Add(MeasureSequential(platform.get(), stream, duration));
    }
  }
  if (wanted("end-to-end")) {
    for (Submit how :
         {Submit::kStream, Submit::kStreamOne, Submit::kUnaryInFlight}) {
      report->Add(MeasureEndToEnd(platform.get(), how, kWindowBulk, duration));
    }
  }
  if (wanted("drain")) report->Add(MeasureDrain(platform.get(), flags.drain));
  if (wanted("submit")) {
    for (Submit how : {Submit::kUnarySequential, Submit::kUnaryInFlight,
                       Submit::kBatches, Submit::kStream}) {
      report->Add(MeasureSubmit(platform.get(), how, duration));
    }
  }
}

void RunBacklog(const Flags& flags, Report* report) {
  auto platform = Platform::Start(flags.platform);
  APIUM_CHECK_OK(platform->queues().Pause("default").status());
  auto fill_to = [&, filled = size_t{0}](size_t tasks) mutable {
    FillQueue(platform.get(), "default", tasks - filled);
    filled = tasks;
    absl::SleepFor(kSettle);
    report->Add(absl::StrCat("broker memory, ", tasks, " queued"),
                Mebibytes(platform->broker()), "MiB");
  };
  fill_to(flags.backlog);
  report->Add(absl::StrCat("broker restart, ", flags.backlog, " queued"),
              absl::ToDoubleSeconds(platform->RestartBroker()), "s");
  report->Add("broker memory after the restart", Mebibytes(platform->broker()),
              "MiB");
  fill_to(5 * flags.backlog);
}

void RunDelayed(const Flags& flags, Report* report) {
  PlatformOptions options = flags.platform;
  options.worker_concurrency = kCancelledTasks;
  auto platform = Platform::Start(options);
  const auto add = [report](const std::string& name, const Spread& spread) {
    const auto milliseconds = [&](const char* which, absl::Duration duration) {
      report->Add(absl::StrCat(name, ", ", which),
                  absl::ToDoubleMilliseconds(duration), "ms");
    };
    milliseconds("least", spread.least);
    milliseconds("p50", spread.p50);
    milliseconds("p99", spread.p99);
    milliseconds("most", spread.most);
  };
  add("cancel of a running task to its end",
      MeasureCancel(platform.get(), kCancelledTasks));
  const auto measure_lateness = [&](const std::string& name) {
    add(name, MeasureLateness(platform.get(), kTimedTasks, kTimedSpan));
  };
  measure_lateness("start behind the ETA");
  // What the store's own buffers take is there with any load: they are filled
  // first.
  APIUM_CHECK_OK(platform->queues().Pause("default").status());
  FillQueue(platform.get(), "default", flags.drain);
  APIUM_CHECK_OK(platform->queues().Purge("default").status());
  APIUM_CHECK_OK(platform->queues().Resume("default").status());
  absl::SleepFor(kSettle);
  const double before = Mebibytes(platform->broker());
  report->Add("broker memory before", before, "MiB");
  FillDelayed(platform.get(), flags.delayed);
  absl::SleepFor(kSettle);
  report->Add(absl::StrCat("broker memory added, ", flags.delayed, " delayed"),
              Mebibytes(platform->broker()) - before, "MiB");
  measure_lateness("start behind the ETA, with them");
  report->Add(absl::StrCat("broker restart, ", flags.delayed, " delayed"),
              absl::ToDoubleSeconds(platform->RestartBroker()), "s");
  absl::SleepFor(kSettle);
  report->Add("broker memory after the restart", Mebibytes(platform->broker()),
              "MiB");
}

}  // namespace
}  // namespace apium::benchmark

int main(int argc, char** argv) {
  apium::InitProcess({.service = "platform_benchmark"});
  apium::benchmark::Flags flags;
  CLI::App app("Measures a platform of real binaries on this machine.");
  app.add_option("--broker", flags.platform.broker_program)->required();
  app.add_option("--results", flags.platform.results_program)->required();
  app.add_option("--worker", flags.platform.worker_program)->required();
  app.add_option("--data", flags.platform.folder, "emptied first")->required();
  app.add_option("--slots", flags.platform.worker_slots, "of the worker");
  app.add_option("--seconds", flags.seconds, "for each load");
  app.add_option("--backlog", flags.backlog, "tasks queued for memory");
  app.add_option("--drain", flags.drain, "tasks queued for the drain");
  app.add_option("--json", flags.json_file, "file to write");
  app.add_option("--delayed", flags.delayed, "tasks with an ETA in an hour");
  app.add_option("--only", flags.only, "loads, backlog or delayed; empty: all");
  app.add_option("--load", flags.load,
                 "sequential, end-to-end, drain or submit; empty: all");
  CLI11_PARSE(app, argc, argv);
  apium::benchmark::Report report;
  const auto wanted = [&](const char* part) {
    return flags.only.empty() || flags.only == part;
  };
  if (wanted("loads")) apium::benchmark::RunLoads(flags, &report);
  if (wanted("backlog")) apium::benchmark::RunBacklog(flags, &report);
  if (wanted("delayed")) apium::benchmark::RunDelayed(flags, &report);
  if (!flags.json_file.empty()) {
    std::ofstream(flags.json_file) << report.json().dump(2) << "\n";
  }
  return 0;
}
