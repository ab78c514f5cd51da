#include "tests/crash/log_watch.h"

#include <utility>

#include "client/connection.h"
#include "common/check.h"
#include "common/strings.h"
#include "tests/crash/client_options_for.h"

namespace apium::crash {

LogWatch::LogWatch(const std::string& results_address,
                   std::function<void()> on_outcome)
    : on_outcome_(std::move(on_outcome)) {
  auto connection =
      Connection::Open(ClientOptionsFor(results_address, absl::Minutes(1)));
  APIUM_CHECK(connection.ok()) << connection.status();
  client_ = std::make_unique<ResultClient>(*std::move(connection));
  client_->WatchAsync(
      {.after_cursor = "0", .view = v1::TASK_VIEW_FULL},
      [this](const v1::WatchResultsResponse& response) {
        {
          absl::MutexLock lock(&mu_);
          for (const v1::TaskOutcome& outcome : response.outcomes()) {
            outcomes_.push_back(outcome);
            tasks_.insert(outcome.task_id());
          }
        }
        for (int i = 0; on_outcome_ && i < response.outcomes_size(); ++i) {
          on_outcome_();
        }
        return true;
      },
      [this](absl::Status status) {
        absl::MutexLock lock(&mu_);
        ended_ = true;
        end_ = std::move(status);
      });
}

LogWatch::~LogWatch() { client_.reset(); }

absl::Status LogWatch::AwaitTask(const std::string& task_id,
                                 absl::Duration timeout) {
  absl::MutexLock lock(&mu_);
  const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return ended_ || tasks_.contains(task_id);
  };
  mu_.AwaitWithTimeout(absl::Condition(&seen), timeout);
  if (tasks_.contains(task_id)) return absl::OkStatus();
  if (!ended_) {
    return absl::DeadlineExceededError(StrCat(task_id, " did not come within ",
                                              absl::FormatDuration(timeout)));
  }
  return absl::UnavailableError(StrCat("the watch ended: ", end_.ToString()));
}

std::vector<v1::TaskOutcome> LogWatch::outcomes() const {
  absl::MutexLock lock(&mu_);
  return outcomes_;
}

}  // namespace apium::crash
