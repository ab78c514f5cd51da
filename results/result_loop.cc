#include "results/result_loop.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "results/result_metrics.h"

namespace apium::results {

ResultLoop::ResultLoop(std::unique_ptr<ResultCore> core, Parts parts)
    : core_(std::move(core)), parts_(std::move(parts)) {
  commit_ = std::make_unique<CommitLine>(
      parts_.store, parts_.sink, parts_.clock, parts_.metrics,
      [this](const absl::Status& status) {
        parts_.mailbox->Close(WithReason(
            absl::UnavailableError(
                StrCat("the store has failed: ", StdView(status.message()))),
            reason::kStoreFailed));
        if (parts_.on_failure) {
          parts_.on_failure(status);
        }
      });
  thread_ = std::thread([this] { Run(); });
}

ResultLoop::~ResultLoop() {
  Stop(WithReason(absl::UnavailableError("the result service is stopping"),
                  reason::kShuttingDown));
}

void ResultLoop::Stop(const absl::Status& status) {
  if (!thread_.joinable()) {
    return;
  }
  stop_status_ = status;
  parts_.mailbox->Close(status);
  thread_.join();
  commit_.reset();
}

void ResultLoop::Run() {
  pthread_setname_np(pthread_self(), "result-core");
  std::vector<ResultCommand> commands;
  absl::Duration next_wake = absl::InfiniteDuration();
  while (true) {
    const absl::Duration timeout =
        next_wake == absl::InfiniteDuration()
            ? next_wake
            : std::max(absl::ZeroDuration(),
                       next_wake - parts_.clock->Monotonic());
    if (!parts_.mailbox->Take(timeout, &commands)) {
      break;
    }
    std::unique_ptr<ResultEffects> effects = commit_->NewEffects();
    if (effects == nullptr) {
      return;  // failed
    }
    const ResultNow now = {.wall = parts_.clock->Now(),
                           .monotonic = parts_.clock->Monotonic()};
    const absl::Status applied = core_->Apply(&commands, now, effects.get());
    if (!applied.ok()) {
      commit_->Fail(applied);
      return;
    }
    ShowCounts();
    next_wake = core_->NextWake();
    if (!effects->writes.empty() || !effects->NothingToRelease()) {
      commit_->Submit(std::move(effects), parts_.mailbox->HasWork());
    }
  }
  std::unique_ptr<ResultEffects> effects = commit_->NewEffects();
  if (effects != nullptr) {
    core_->Stop(stop_status_, effects.get());
    ShowCounts();
    commit_->Submit(std::move(effects), /*more_waits=*/false);
  }
}

void ResultLoop::ShowCounts() {
  if (parts_.metrics != nullptr) {
    parts_.metrics->ShowCounts({.waiters = core_->waiter_count(),
                                .watchers = core_->watcher_count(),
                                .publishers = core_->publisher_count()});
  }
}

}  // namespace apium::results
