// What a TaskStream costs its client: CPU time of this process for each task,
// against a broker in another one.
//
//   apium-broker --in-memory --listen 127.0.0.1:7450 &
//   task_stream_benchmark --broker 127.0.0.1:7450 --tasks 1000000 --at-once 64

#include <time.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/task_client.h"
#include "client/task_stream.h"
#include "common/log.h"
#include "common/process_init.h"

namespace apium {
namespace {

struct Flags {
  std::string broker = "127.0.0.1:7450";
  std::string type = "apium.noop";
  int tasks = 1'000'000;
  int at_once = 64;  // in one call of SubmitMany
  int payload_bytes = 100;
  bool outcomes = false;
  TaskStreamOptions stream;
};

absl::Duration ProcessCpuTime() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

absl::Status Run(const Flags& flags) {
  absl::StatusOr<std::unique_ptr<TaskClient>> client =
      TaskClient::Connect({.addresses = {flags.broker}});
  if (!client.ok()) return client.status();
  TaskStreamOptions options = flags.stream;
  std::atomic<int> refused{0};
  options.on_ack = [&refused](const SubmitAck& ack) {
    refused += ack.status.ok() ? 0 : 1;
  };
  if (flags.outcomes) options.on_outcome = [](const v1::TaskOutcome&) {};
  absl::StatusOr<std::unique_ptr<TaskStream>> stream =
      (*client)->OpenStream(std::move(options));
  if (!stream.ok()) return stream.status();

  const std::string payload(static_cast<size_t>(flags.payload_bytes), 'x');
  std::vector<v1::TaskSpec> specs(static_cast<size_t>(flags.at_once));
  const absl::Time start = absl::Now();
  const absl::Duration cpu_start = ProcessCpuTime();
  for (int submitted = 0; submitted < flags.tasks; submitted += flags.at_once) {
    for (v1::TaskSpec& spec : specs) {
      spec.Clear();
      spec.set_type(flags.type);
      spec.mutable_payload()->set_data(payload);
    }
    absl::StatusOr<uint64_t> first =
        (*stream)->SubmitMany(absl::MakeSpan(specs));
    if (!first.ok()) return first.status();
  }
  absl::Status finished = (*stream)->Finish();
  const absl::Duration cpu = ProcessCpuTime() - cpu_start;
  const absl::Duration elapsed = absl::Now() - start;
  std::cout << absl::StrFormat(
      "%d tasks, %d at once: %.0f tasks/s, %.3f us CPU per task in the client, "
      "%d refused\n",
      flags.tasks, flags.at_once, flags.tasks / absl::ToDoubleSeconds(elapsed),
      absl::ToDoubleMicroseconds(cpu) / flags.tasks, refused.load());
  return finished;
}

}  // namespace
}  // namespace apium

int main(int argc, char** argv) {
  CLI::App app("CPU time of a TaskStream's client.");
  apium::Flags flags;
  app.add_option("--broker", flags.broker, "Address of the broker")
      ->capture_default_str();
  app.add_option("--type", flags.type, "Type of the tasks")
      ->capture_default_str();
  app.add_option("--tasks", flags.tasks, "Tasks to submit")
      ->capture_default_str();
  app.add_option("--at-once", flags.at_once, "Tasks in one SubmitMany")
      ->capture_default_str();
  app.add_option("--payload-bytes", flags.payload_bytes, "Bytes of a payload")
      ->capture_default_str();
  app.add_option("--window", flags.stream.window, "Unanswered tasks")
      ->capture_default_str();
  app.add_option("--batch", flags.stream.batch_tasks_max,
                 "Tasks in one message")
      ->capture_default_str();
  app.add_flag("--outcomes", flags.outcomes,
               "Wait for the outcomes, too; needs a worker");
  CLI11_PARSE(app, argc, argv);
  apium::InitProcess(
      {.service = "task_stream_benchmark", .level = apium::LogLevel::kError});
  const absl::Status status = apium::Run(flags);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
