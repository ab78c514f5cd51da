#include "benchmarks/platform/loads.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <iostream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "client/task_stream.h"
#include "common/check.h"

namespace apium::benchmark {
namespace {

constexpr size_t kPayloadBytes = 100;
constexpr size_t kBatchTasks = 64;
constexpr size_t kUnaryCalls = 64;
constexpr size_t kBatchCalls = 8;

void FillSpec(const std::string& queue, v1::TaskSpec* spec) {
  spec->set_type("apium.noop");
  spec->set_queue(queue);
  spec->mutable_payload()->mutable_data()->assign(kPayloadBytes, 'p');
}

v1::TaskSpec MakeSpec(const std::string& queue) {
  v1::TaskSpec spec;
  FillSpec(queue, &spec);
  return spec;
}

absl::Duration OwnCpuTime() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return absl::DurationFromTimespec(used);
}

absl::Duration Percentile(std::vector<absl::Duration>* sorted, double share) {
  if (sorted->empty()) return absl::ZeroDuration();
  const size_t index = static_cast<size_t>(sorted->size() * share);
  return (*sorted)[std::min(sorted->size() - 1, index)];
}

// CPU time and time of a load.
class Meter {
 public:
  explicit Meter(Platform* platform) : platform_(platform) { Restart(); }

  void Restart() {
    before_ = Read();
    start_ = absl::Now();
  }
  Measurement Finish(std::string name, double tasks,
                     std::vector<absl::Duration> latencies = {}) {
    const absl::Duration took = absl::Now() - start_;
    const Cpu after = Read();
    std::sort(latencies.begin(), latencies.end());
    const auto per_task = [&](absl::Duration cpu) {
      return tasks > 0 ? absl::ToDoubleMicroseconds(cpu) / tasks : 0;
    };
    return {.name = std::move(name),
            .per_second = tasks / absl::ToDoubleSeconds(took),
            .p50 = Percentile(&latencies, 0.5),
            .p99 = Percentile(&latencies, 0.99),
            .client_cpu = per_task(after.client - before_.client),
            .broker_cpu = per_task(after.broker - before_.broker),
            .worker_cpu = per_task(after.worker - before_.worker),
            .results_cpu = per_task(after.results - before_.results)};
  }

 private:
  struct Cpu {
    absl::Duration client, broker, worker, results;
  };
  Cpu Read() {
    return {OwnCpuTime(), platform_->broker().CpuTime(),
            platform_->worker().CpuTime(),
            platform_->result_service().CpuTime()};
  }

  Platform* const platform_;
  Cpu before_;
  absl::Time start_;
};

// Tasks that were started and not yet finished: a window, and a count.
class Window {
 public:
  explicit Window(size_t size) : size_(size) {}

  // Waits for room for `count` more; false once it is closed.
  bool Enter(size_t count) {
    absl::MutexLock lock(&mu_);
    const auto has_room = [&] { return closed_ || open_ + count <= size_; };
    mu_.Await(absl::Condition(&has_room));
    if (closed_) return false;
    open_ += count;
    return true;
  }
  void Leave(size_t count) {
    absl::MutexLock lock(&mu_);
    open_ -= std::min(count, open_);
    finished_ += count;
  }
  void Close() {
    absl::MutexLock lock(&mu_);
    closed_ = true;
  }
  void AwaitEmpty() {
    absl::MutexLock lock(&mu_);
    const auto empty = [&] { return open_ == 0; };
    mu_.Await(absl::Condition(&empty));
  }
  size_t finished() {
    absl::MutexLock lock(&mu_);
    return finished_;
  }

 private:
  const size_t size_;
  absl::Mutex mu_;
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  size_t finished_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

// Submits to `queue` until `stop`, with at most so many calls at a time as the
// way says. `admit(n)` waits for room for n tasks; `acknowledged(n)` tells that
// n are durable.
class Submitter {
 public:
  Submitter(Platform* platform, Submit how, std::string queue)
      : platform_(platform), how_(how), queue_(std::move(queue)) {}

  void Run(const std::function<bool(size_t)>& admit,
           const std::function<void(size_t)>& acknowledged) {
    switch (how_) {
      case Submit::kUnarySequential:
        return RunUnarySequential(admit, acknowledged);
      case Submit::kUnaryInFlight:
        return RunUnaryInFlight(admit, acknowledged);
      case Submit::kBatches:
        return RunBatches(admit, acknowledged);
      case Submit::kStream:
        return RunStream(kBatchTasks, admit, acknowledged);
      case Submit::kStreamOne:
        return RunStream(1, admit, acknowledged);
    }
  }
  std::vector<absl::Duration> TakeLatencies() { return std::move(latencies_); }

 private:
  void RunUnarySequential(const std::function<bool(size_t)>& admit,
                          const std::function<void(size_t)>& acknowledged) {
    while (admit(1)) {
      const absl::Time start = absl::Now();
      APIUM_CHECK_OK(platform_->tasks().Submit(MakeSpec(queue_)).status());
      latencies_.push_back(absl::Now() - start);
      acknowledged(1);
    }
  }

  void RunUnaryInFlight(const std::function<bool(size_t)>& admit,
                        const std::function<void(size_t)>& acknowledged) {
    Window calls(kUnaryCalls);
    while (admit(1) && calls.Enter(1)) {
      platform_->tasks().SubmitAsync(
          MakeSpec(queue_),
          [&calls, &acknowledged](absl::StatusOr<TaskHandle> task) {
            APIUM_CHECK_OK(task.status());
            acknowledged(1);
            calls.Leave(1);
          });
    }
    calls.AwaitEmpty();
  }

  void RunBatches(const std::function<bool(size_t)>& admit,
                  const std::function<void(size_t)>& acknowledged) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kBatchCalls; ++i) {
      threads.emplace_back([&] {
        while (admit(kBatchTasks)) {
          std::vector<v1::TaskSpec> specs(kBatchTasks, MakeSpec(queue_));
          for (const auto& task :
               platform_->tasks().SubmitMany(std::move(specs))) {
            APIUM_CHECK_OK(task.status());
          }
          acknowledged(kBatchTasks);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void RunStream(size_t batch, const std::function<bool(size_t)>& admit,
                 const std::function<void(size_t)>& acknowledged) {
    TaskStreamOptions options;
    options.batch_tasks_max = batch;
    options.on_ack = [&acknowledged](const SubmitAck& ack) {
      APIUM_CHECK_OK(ack.status);
      acknowledged(1);
    };
    auto stream = platform_->tasks().OpenStream(std::move(options));
    APIUM_CHECK_OK(stream.status());
    std::vector<v1::TaskSpec> specs(batch);
    while (admit(batch)) {
      for (v1::TaskSpec& spec : specs) {
        spec.Clear();
        FillSpec(queue_, &spec);
      }
      APIUM_CHECK_OK((*stream)->SubmitMany(absl::MakeSpan(specs)).status());
    }
    APIUM_CHECK_OK((*stream)->Finish(absl::Minutes(2)));
  }

  Platform* const platform_;
  const Submit how_;
  const std::string queue_;
  std::vector<absl::Duration> latencies_;
};

std::string NameOf(Submit how) {
  switch (how) {
    case Submit::kUnarySequential:
      return "unary, one by one";
    case Submit::kUnaryInFlight:
      return "unary, 64 in flight";
    case Submit::kBatches:
      return "batches of 64, 8 in flight";
    case Submit::kStream:
      return "stream, 64 a message";
    case Submit::kStreamOne:
      return "stream, 1 a message";
  }
  return "";
}

void MakePausedQueue(Platform* platform, const std::string& queue) {
  v1::Queue settings;
  settings.set_name(queue);
  settings.set_paused(true);
  APIUM_CHECK_OK(platform->queues().Create(settings).status());
}

// Counts outcomes as they become durable at the result service.
class OutcomeCounter {
 public:
  OutcomeCounter(Platform* platform, std::function<void(size_t)> counted) {
    absl::Notification begun;
    ResultWatchOptions options;
    options.view = v1::TASK_VIEW_BASIC;
    platform->results().WatchAsync(
        options,
        [this, &begun, counted,
         first = true](const v1::WatchResultsResponse& response) mutable {
          if (first) {
            first = false;
            begun.Notify();
          }
          if (response.outcomes_size() > 0) {
            counted(static_cast<size_t>(response.outcomes_size()));
          }
          return !stopping_.load();
        },
        [this](absl::Status) { ended_.Notify(); });
    begun.WaitForNotification();
  }
  // One more outcome must come for the watch to see it: see MeasureEndToEnd.
  void Stop(Platform* platform) {
    stopping_ = true;
    APIUM_CHECK_OK(platform->tasks().Submit(MakeSpec("default")).status());
    ended_.WaitForNotification();
  }

 private:
  std::atomic<bool> stopping_ = false;
  absl::Notification ended_;
};

}  // namespace

Measurement MeasureSubmit(Platform* platform, Submit how,
                          absl::Duration duration) {
  static int count = 0;
  const std::string queue = absl::StrCat("submit-", ++count);
  MakePausedQueue(platform, queue);
  std::atomic<size_t> acknowledged = 0;
  const absl::Time end = absl::Now() + duration;
  Submitter submitter(platform, how, queue);
  Meter meter(platform);
  submitter.Run([end](size_t) { return absl::Now() < end; },
                [&](size_t tasks) { acknowledged += tasks; });
  Measurement measured = meter.Finish(absl::StrCat("submit: ", NameOf(how)),
                                      static_cast<double>(acknowledged.load()),
                                      submitter.TakeLatencies());
  APIUM_CHECK_OK(platform->queues().Purge(queue).status());
  return measured;
}

Measurement MeasureEndToEnd(Platform* platform, Submit how, size_t window_size,
                            absl::Duration duration) {
  Window window(window_size);
  OutcomeCounter counter(platform,
                         [&window](size_t tasks) { window.Leave(tasks); });
  std::thread submitting([&] {
    Submitter(platform, how, "default")
        .Run([&window](size_t tasks) { return window.Enter(tasks); },
             [](size_t) {});
  });
  const absl::Duration warm_up = absl::Milliseconds(700);
  absl::SleepFor(warm_up);
  const size_t before = window.finished();
  Meter meter(platform);
  absl::SleepFor(duration);
  Measurement measured =
      meter.Finish(absl::StrCat("end to end: ", NameOf(how)),
                   static_cast<double>(window.finished() - before));
  window.Close();
  submitting.join();
  window.AwaitEmpty();
  counter.Stop(platform);
  return measured;
}

Measurement MeasureDrain(Platform* platform, size_t tasks) {
  const std::string queue = "default";
  v1::Queue paused;
  APIUM_CHECK_OK(platform->queues().Pause(queue).status());
  FillQueue(platform, queue, tasks);
  Window window(tasks);
  window.Enter(tasks);
  OutcomeCounter counter(platform,
                         [&window](size_t count) { window.Leave(count); });
  Meter meter(platform);
  APIUM_CHECK_OK(platform->queues().Resume(queue).status());
  window.AwaitEmpty();
  Measurement measured =
      meter.Finish(absl::StrCat("drain of ", tasks, " queued tasks"),
                   static_cast<double>(tasks));
  counter.Stop(platform);
  return measured;
}

Measurement MeasureSequential(Platform* platform, bool stream,
                              absl::Duration duration) {
  std::vector<absl::Duration> latencies;
  std::unique_ptr<TaskStream> tasks;
  Window one(1);
  if (stream) {
    TaskStreamOptions options;
    options.on_outcome = [&one](const v1::TaskOutcome&) { one.Leave(1); };
    auto opened = platform->tasks().OpenStream(std::move(options));
    APIUM_CHECK_OK(opened.status());
    tasks = *std::move(opened);
  }
  const auto run_one = [&] {
    v1::TaskSpec spec = MakeSpec("default");
    if (stream) {
      one.Enter(1);
      APIUM_CHECK_OK(tasks->Submit(&spec).status());
      one.AwaitEmpty();
    } else {
      auto task = platform->tasks().Submit(std::move(spec));
      APIUM_CHECK_OK(task.status());
      APIUM_CHECK_OK(task->Wait(absl::Seconds(30)).status());
    }
  };
  for (int i = 0; i < 100; ++i) run_one();
  const absl::Time end = absl::Now() + duration;
  Meter meter(platform);
  while (absl::Now() < end) {
    const absl::Time start = absl::Now();
    run_one();
    latencies.push_back(absl::Now() - start);
  }
  const double count = static_cast<double>(latencies.size());
  return meter.Finish(stream ? "sequential: stream, submit to outcome"
                             : "sequential: SubmitTask, WaitTask",
                      count, std::move(latencies));
}

void FillQueue(Platform* platform, const std::string& queue, size_t tasks) {
  size_t left = tasks;
  Submitter(platform, Submit::kStream, queue)
      .Run(
          [&left](size_t count) {
            if (left < count) return false;
            left -= count;
            return true;
          },
          [](size_t) {});
  for (; left > 0; --left) {
    APIUM_CHECK_OK(platform->tasks().Submit(MakeSpec(queue)).status());
  }
}

}  // namespace apium::benchmark
