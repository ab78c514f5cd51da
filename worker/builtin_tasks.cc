#include "worker/builtin_tasks.h"

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "worker/worker.h"

namespace apium {
namespace {

constexpr absl::Duration kProgressPeriod = absl::Seconds(1);
constexpr double kSleepSecondsMax = 365.0 * 24 * 3600;

absl::Status Noop(TaskContext&, const v1::Payload&, v1::Payload*) {
  return absl::OkStatus();
}

absl::Status Echo(TaskContext&, const v1::Payload& payload,
                  v1::Payload* result) {
  *result = payload;
  return absl::OkStatus();
}

absl::StatusOr<double> Sleep(TaskContext& context, double seconds) {
  if (!(seconds >= 0 && seconds <= kSleepSecondsMax)) {
    return BadArguments(StrCat("argument 1 (seconds): ", seconds,
                               " is not between 0 and ", kSleepSecondsMax));
  }
  const absl::Time start = absl::Now();
  const absl::Time end = start + absl::Seconds(seconds);
  for (absl::Time now = start; now < end; now = absl::Now()) {
    if (context.WaitForCancellation(std::min(end - now, kProgressPeriod))) {
      return context.CancellationStatus();
    }
    context.SetProgress(
        std::min(seconds, absl::ToDoubleSeconds(absl::Now() - start)), seconds);
  }
  return seconds;
}

absl::StatusOr<uint32_t> Fail(TaskContext& context,
                              std::optional<std::string> message,
                              std::optional<std::string> type,
                              std::optional<bool> non_retryable,
                              std::optional<uint32_t> succeed_at_attempt) {
  if (succeed_at_attempt.has_value() &&
      context.attempt() >= *succeed_at_attempt) {
    return context.attempt();
  }
  absl::Status error = TaskError(type.value_or("apium.Fail"),
                                 message.value_or("failed as it was told to"));
  return non_retryable.value_or(false) ? NonRetryable(error) : error;
}

// Goes on where the last attempt was: its details say how far it came.
absl::StatusOr<uint64_t> Count(TaskContext& context, uint64_t to,
                               std::optional<double> interval_seconds) {
  const double seconds = interval_seconds.value_or(0);
  if (!(seconds >= 0 && seconds <= kSleepSecondsMax)) {
    return BadArguments(StrCat("argument 2 (interval_seconds): ", seconds,
                               " is not between 0 and ", kSleepSecondsMax));
  }
  uint64_t counted = 0;
  if (const v1::Payload* details = context.details()) {
    if (!absl::SimpleAtoi(details->data(), &counted))
      return NonRetryable(absl::DataLossError("the details are no number"));
  }
  while (counted < to) {
    if (context.WaitForCancellation(absl::Seconds(seconds)))
      return context.CancellationStatus();
    ++counted;
    APIUM_RETURN_IF_ERROR(context.Append(StrCat(counted)));
    v1::Progress progress;
    progress.set_completed(static_cast<double>(counted));
    progress.set_total(static_cast<double>(to));
    progress.set_state("counting");
    progress.mutable_details()->set_data(StrCat(counted));
    APIUM_RETURN_IF_ERROR(context.SetProgress(std::move(progress)));
  }
  APIUM_RETURN_IF_ERROR(context.FlushChunks());
  return counted;
}

}  // namespace

absl::Status RegisterBuiltinTasks(Worker* worker) {
  APIUM_RETURN_IF_ERROR(worker->Register("apium.noop", Noop));
  APIUM_RETURN_IF_ERROR(worker->Register("apium.echo", Echo));
  APIUM_RETURN_IF_ERROR(
      worker->Register("apium.sleep", Sleep, {.parameter_names = {"seconds"}}));
  APIUM_RETURN_IF_ERROR(worker->Register(
      "apium.count", Count, {.parameter_names = {"to", "interval_seconds"}}));
  return worker->Register(
      "apium.fail", Fail,
      {.parameter_names = {"message", "type", "non_retryable",
                           "succeed_at_attempt"}});
}

}  // namespace apium
