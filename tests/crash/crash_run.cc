#include "tests/crash/crash_run.h"

#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "common/strings.h"
#include "tests/crash/final_reads.h"
#include "tests/crash/log_watch.h"
#include "tests/crash/recorder.h"

namespace apium::crash {
namespace {

constexpr absl::Duration kStartTimeout = absl::Minutes(2);

// Who waits for progress looks this often whether all processes live.
constexpr absl::Duration kLookAfter = absl::Seconds(1);

// Kills and restarts, at moments and of processes that its seed decides.
class Nemesis {
 public:
  Nemesis(const CrashRunOptions& options, Platform* platform,
          Recorder* recorder)
      : options_(options),
        platform_(*platform),
        recorder_(*recorder),
        random_(options.seed) {}

  absl::Status Run() {
    APIUM_RETURN_IF_ERROR(AwaitProgress(kStartTimeout));
    while (round_ < options_.kills) {
      const std::vector<size_t> victims = Victims();
      APIUM_RETURN_IF_ERROR(platform_.CheckAlive());
      platform_.Kill(victims, round_++);
      APIUM_RETURN_IF_ERROR(platform_.StartDead());
      if (round_ < options_.kills && Below(5) == 0) {
        APIUM_RETURN_IF_ERROR(KillAgain(victims));
      }
      APIUM_RETURN_IF_ERROR(platform_.AwaitServing(kStartTimeout));
      APIUM_RETURN_IF_ERROR(AwaitProgress(options_.patience));
    }
    return platform_.CheckAlive();
  }

 private:
  uint32_t Below(uint32_t limit) {
    return std::uniform_int_distribution<uint32_t>(0, limit - 1)(random_);
  }

  size_t AWorker() {
    return Platform::kFirstWorker +
           Below(static_cast<uint32_t>(platform_.process_count() -
                                       Platform::kFirstWorker));
  }

  std::vector<size_t> Victims() {
    if (options_.only_broker) return {Platform::kBroker};
    const uint32_t choice = Below(20);
    if (choice < 6) return {Platform::kBroker};
    if (choice < 10) return {Platform::kResults};
    if (choice < 15) return {AWorker()};
    if (choice < 16) return {Platform::kBroker, Platform::kResults};
    if (choice < 17) return {Platform::kBroker, AWorker()};
    std::vector<size_t> all(platform_.process_count());
    for (size_t i = 0; i < all.size(); ++i) all[i] = i;
    return all;
  }

  // In the midst of the restart.
  absl::Status KillAgain(const std::vector<size_t>& victims) {
    const absl::Status serving =
        platform_.AwaitServing(absl::Milliseconds(Below(150)));
    if (!serving.ok() && !absl::IsDeadlineExceeded(serving)) return serving;
    APIUM_RETURN_IF_ERROR(platform_.CheckAlive());
    platform_.Kill(victims, round_++);
    return platform_.StartDead();
  }

  absl::Status AwaitProgress(absl::Duration timeout) {
    Progress wanted = recorder_.progress();
    wanted.acks += 1 + Below(options_.progress_max);
    wanted.outcomes += 1 + Below(options_.progress_max);
    const Moment deadline = MonotonicNow() + timeout;
    while (!recorder_.AwaitProgress(wanted, kLookAfter)) {
      APIUM_RETURN_IF_ERROR(platform_.CheckAlive());
      if (MonotonicNow() < deadline) continue;
      const Progress made = recorder_.progress();
      return absl::DeadlineExceededError(
          StrCat("after ", round_, " kills there were ", made.acks,
                 " acknowledgements and ", made.outcomes, " outcomes, and ",
                 absl::FormatDuration(timeout), " later still not ",
                 wanted.acks, " and ", wanted.outcomes));
    }
    return absl::OkStatus();
  }

  const CrashRunOptions& options_;
  Platform& platform_;
  Recorder& recorder_;
  std::mt19937_64 random_;
  size_t round_ = 0;
};

}  // namespace

History RunAndCrash(CrashRunOptions options) {
  Recorder recorder;
  absl::StatusOr<std::unique_ptr<Platform>> platform =
      Platform::Start(options.platform);
  if (!platform.ok()) {
    recorder.AddMishap(platform.status().ToString());
    return recorder.history();
  }
  LogWatch live((*platform)->results_address(),
                [&recorder] { recorder.CountOutcome(); });
  options.workload.broker_address = (*platform)->broker_address();
  options.workload.seed = options.seed;
  options.workload.builtin_tasks = options.platform.builtin_worker;
  {
    std::optional<Workload> workload(std::in_place, options.workload,
                                     &recorder);
    const absl::Status status =
        Nemesis(options, platform->get(), &recorder).Run();
    if (!status.ok()) recorder.AddMishap(status.ToString());
    recorder.Stop();
    workload.reset();
  }
  History history = recorder.history();
  // Of what has ended by itself nothing can be read.
  const bool alive_after_kills = (*platform)->CheckAlive().ok();
  FinalReads((*platform)->broker_address(), (*platform)->results_address(),
             alive_after_kills ? options.drain_timeout : absl::Seconds(1))
      .Read(&live, &history);
  const absl::Status alive = (*platform)->CheckAlive();
  if (!alive.ok()) history.mishaps.push_back(alive.ToString());
  history.kills = (*platform)->kills();
  auto executions = (*platform)->ReadExecutions();
  if (!executions.ok()) {
    history.mishaps.push_back(executions.status().ToString());
  } else {
    history.executions = *std::move(executions);
  }
  return history;
}

}  // namespace apium::crash
