#include "worker/builtin_tasks.h"

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
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

}  // namespace

absl::Status RegisterBuiltinTasks(Worker* worker) {
  APIUM_RETURN_IF_ERROR(worker->Register("apium.noop", Noop));
  APIUM_RETURN_IF_ERROR(worker->Register("apium.echo", Echo));
  APIUM_RETURN_IF_ERROR(
      worker->Register("apium.sleep", Sleep, {.parameter_names = {"seconds"}}));
  return worker->Register(
      "apium.fail", Fail,
      {.parameter_names = {"message", "type", "non_retryable",
                           "succeed_at_attempt"}});
}

}  // namespace apium
