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

struct Flags {
  PlatformOptions platform;
  std::string json_file;
  double seconds = 3;
  size_t backlog = 1000000;
  size_t drain = 200000;
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
  app.add_option("--only", flags.only, "loads or backlog; empty: both");
  app.add_option("--load", flags.load,
                 "sequential, end-to-end, drain or submit; empty: all");
  CLI11_PARSE(app, argc, argv);
  apium::benchmark::Report report;
  if (flags.only != "backlog") apium::benchmark::RunLoads(flags, &report);
  if (flags.only != "loads") apium::benchmark::RunBacklog(flags, &report);
  if (!flags.json_file.empty()) {
    std::ofstream(flags.json_file) << report.json().dump(2) << "\n";
  }
  return 0;
}
