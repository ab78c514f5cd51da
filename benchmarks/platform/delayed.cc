#include "benchmarks/platform/delayed.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "client/json_payload.h"
#include "common/check.h"

namespace apium::benchmark {
namespace {

constexpr size_t kPayloadBytes = 100;
constexpr size_t kChunkTasks = 10000;

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

v1::TaskSpec NoopAt(absl::Time eta) {
  v1::TaskSpec spec = ToTaskSpec({.type = "apium.noop", .eta = eta});
  spec.mutable_payload()->mutable_data()->assign(kPayloadBytes, 'p');
  return spec;
}

std::vector<std::string> SubmitAll(Platform* platform,
                                   std::vector<v1::TaskSpec> specs) {
  std::vector<std::string> ids;
  ids.reserve(specs.size());
  for (auto& task : platform->tasks().SubmitMany(std::move(specs))) {
    APIUM_CHECK_OK(task.status());
    ids.push_back(task->id());
  }
  return ids;
}

Spread SpreadOf(std::vector<absl::Duration> durations) {
  APIUM_CHECK(!durations.empty());
  std::sort(durations.begin(), durations.end());
  const size_t last = durations.size() - 1;
  return {.least = durations.front(),
          .p50 = durations[last / 2],
          .p99 = durations[last * 99 / 100],
          .most = durations.back()};
}

}  // namespace

void FillDelayed(Platform* platform, size_t tasks) {
  const absl::Time eta = absl::Now() + absl::Hours(1);
  for (size_t done = 0; done < tasks;) {
    std::vector<v1::TaskSpec> specs;
    for (; specs.size() < kChunkTasks && done < tasks; ++done) {
      specs.push_back(NoopAt(eta + absl::Microseconds(done)));
    }
    SubmitAll(platform, std::move(specs));
  }
}

Spread MeasureLateness(Platform* platform, size_t tasks, absl::Duration span) {
  // Submitting takes far less than this, also on a slow machine.
  const absl::Time begin = absl::Now() + absl::Seconds(5);
  std::vector<v1::TaskSpec> specs;
  std::vector<absl::Time> etas;
  for (size_t i = 0; i < tasks; ++i) {
    etas.push_back(begin +
                   span * static_cast<double>(i) / static_cast<double>(tasks));
    specs.push_back(NoopAt(etas.back()));
  }
  const std::vector<std::string> ids = SubmitAll(platform, std::move(specs));
  APIUM_CHECK(absl::Now() < begin) << "submitting took too long";
  absl::SleepFor(begin + span + absl::Seconds(1) - absl::Now());
  std::vector<absl::Duration> lateness;
  for (size_t i = 0; i < tasks; ++i) {
    const auto task = platform->tasks().Wait(ids[i]);
    APIUM_CHECK_OK(task.status());
    lateness.push_back(TimeOf(task->outcome().start_time()) - etas[i]);
  }
  return SpreadOf(std::move(lateness));
}

Spread MeasureCancel(Platform* platform, size_t tasks) {
  std::vector<v1::TaskSpec> specs;
  for (size_t i = 0; i < tasks; ++i) {
    specs.push_back(
        ToTaskSpec({.type = "apium.sleep", .payload = JsonArguments(3600.0)}));
  }
  const std::vector<std::string> ids = SubmitAll(platform, std::move(specs));
  for (const std::string& id : ids) {
    const absl::Status started =
        platform->tasks().Watch(id, [](const v1::Task& task) {
          return task.state() != v1::TASK_STATE_STARTED;
        });
    APIUM_CHECK_OK(started);
  }
  std::vector<absl::Duration> latencies;
  for (const std::string& id : ids) {
    const absl::Time called = absl::Now();
    APIUM_CHECK_OK(platform->tasks().Cancel(id).status());
    const auto task = platform->tasks().Wait(id);
    APIUM_CHECK_OK(task.status());
    APIUM_CHECK(task->state() == v1::TASK_STATE_CANCELLED);
    latencies.push_back(TimeOf(task->outcome().finish_time()) - called);
  }
  return SpreadOf(std::move(latencies));
}

}  // namespace apium::benchmark
