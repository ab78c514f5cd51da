#include "worker/executor.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <typeinfo>
#include <utility>

#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "common/utf8.h"
#include "worker/task_context.h"
#include "worker/task_error.h"

namespace apium {
namespace {

// Bounds of v1::Failure, Payload and ExecutionCancelled.
constexpr size_t kFailureTypeBytesMax = 255;
constexpr size_t kFailureMessageBytesMax = 4 * 1024;
constexpr size_t kReasonBytesMax = 1024;
constexpr size_t kContentTypeBytesMax = 255;

std::string Demangle(const char* name) {
  int error = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &error), &std::free);
  return error == 0 ? std::string(text.get()) : std::string(name);
}

// It waited here for a slot, past the time by which it had to start.
bool HasExpired(const v1::TaskSpec& spec, absl::Time now) {
  if (!spec.has_expire_time()) return false;
  const absl::StatusOr<absl::Time> expiry =
      TimeFromProto("spec.expire_time", spec.expire_time());
  return expiry.ok() && *expiry <= now;
}

void SetFailure(std::string_view type, std::string_view message,
                bool non_retryable, v1::Failure* failure) {
  failure->set_type(ToValidUtf8(type, kFailureTypeBytesMax));
  failure->set_message(ToValidUtf8(message, kFailureMessageBytesMax));
  failure->set_non_retryable(non_retryable);
}

// OK if a broker can take `payload`.
absl::Status CheckResult(const v1::Payload& payload, size_t bytes_max) {
  if (payload.data().size() > bytes_max) {
    return NonRetryable(TaskError(
        failure_type::kBadResult,
        StrCat("the result has ", payload.data().size(),
               " bytes; the limit is ", bytes_max,
               ": store larger data elsewhere and return a reference")));
  }
  for (const std::string* text :
       {&payload.content_type(), &payload.content_encoding()}) {
    if (text->size() > kContentTypeBytesMax || !IsValidUtf8(*text)) {
      return NonRetryable(
          TaskError(failure_type::kBadResult,
                    StrCat("the result's content type or encoding ",
                           QuoteForMessage(*text), " is not UTF-8 of at most ",
                           kContentTypeBytesMax, " bytes")));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Executor::Executor(ExecutorOptions options) : options_(std::move(options)) {
  for (const std::string& type : options_.registry->types()) {
    types_[type] = {.handler = options_.registry->Find(type),
                    .metrics = options_.metrics->ForTaskType(type)};
  }
  unknown_type_.metrics = options_.metrics->ForTaskType("unknown");
}

void Executor::Execute(Attempt* attempt) const {
  const std::string& name = attempt->delivery().spec().type();
  const auto it = types_.find(name);
  const TaskType& type = it == types_.end() ? unknown_type_ : it->second;
  // Read once: what is told as the start is what was held against the expiry.
  const absl::Time now = options_.clock->Now();
  if (attempt->cancel().IsCancelled()) {
    type.metrics->CountNotRun(WriteOutcome(
        absl::CancelledError(attempt->cancel().reason()), attempt));
  } else if (HasExpired(attempt->delivery().spec(), now)) {
    // The broker ends a task that comes back expired.
    attempt->mutable_outcome()->mutable_returned()->set_reason(
        "expired before it started");
    type.metrics->CountNotRun(OutcomeKind::kReturned);
  } else if (type.handler == nullptr) {
    type.metrics->CountNotRun(WriteOutcome(
        TaskError(
            failure_type::kUnknownTaskType,
            StrCat("worker ", options_.worker_id,
                   " has no handler for task type ", QuoteForMessage(name))),
        attempt));
  } else {
    const absl::Duration start = options_.clock->Monotonic();
    attempt->MarkStarted(now, start);
    type.metrics->CountStart();
    const OutcomeKind kind =
        WriteOutcome(Call(*type.handler, attempt), attempt);
    type.metrics->CountEnd(kind, options_.clock->Monotonic() - start);
  }
  attempt->ForgetDelivery();
}

absl::Status Executor::Call(const TaskHandler& handler,
                            Attempt* attempt) const {
  TaskContext context(attempt, &options_.worker_id);
  absl::Status status;
  try {
    status = handler(context, attempt->delivery().spec().payload(),
                     attempt->mutable_result());
  } catch (const std::exception& exception) {
    status = TaskError(Demangle(typeid(exception).name()), exception.what());
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    const std::string name =
        type == nullptr ? "unknown" : Demangle(type->name());
    status = TaskError(name, StrCat("threw a ", name));
  }
  attempt->cancel().DropCallbacks();
  return status;
}

OutcomeKind Executor::WriteOutcome(absl::Status error, Attempt* attempt) const {
  if (error.ok()) {
    error = CheckResult(*attempt->mutable_result(), options_.result_bytes_max);
  }
  if (error.ok()) {
    attempt->UseResult();
    return OutcomeKind::kSucceeded;
  }
  attempt->mutable_result()->Clear();
  v1::ExecutionOutcome* outcome = attempt->mutable_outcome();
  const CancelSignal& cancel = attempt->cancel();
  if (absl::IsCancelled(error) && cancel.IsCancelled()) {
    const std::string reason = ToValidUtf8(cancel.reason(), kReasonBytesMax);
    // Only somebody's request makes a cancelled task; otherwise it is to run
    // elsewhere, or it failed.
    if (cancel.Has(CancelCause::kRequested)) {
      outcome->mutable_cancelled()->set_reason(reason);
      return OutcomeKind::kCancelled;
    }
    if (cancel.Has(CancelCause::kTimeLimit)) {
      SetFailure(failure_type::kTimeLimit, reason, false,
                 outcome->mutable_failure());
      return OutcomeKind::kFailed;
    }
    outcome->mutable_returned()->set_reason(reason);
    return OutcomeKind::kReturned;
  }
  if (const std::string limit = ThrottledLimitOf(error);
      IsHandedBack(error) && !limit.empty()) {
    // A broker would end the stream for a name that is none.
    const absl::Status valid = ValidateQueueName("throttled limit", limit);
    if (!valid.ok()) {
      error = NonRetryable(
          TaskError(failure_type::kBadResult, StdView(valid.message())));
    } else {
      outcome->mutable_returned()->set_throttled_limit(limit);
    }
  }
  if (IsHandedBack(error)) {
    v1::ExecutionReturned* returned = outcome->mutable_returned();
    returned->set_reason(
        ToValidUtf8(StdView(error.message()), kReasonBytesMax));
    if (std::optional<absl::Duration> delay = HandBackDelayOf(error))
      DurationToProto(*delay, returned->mutable_delay());
    return OutcomeKind::kReturned;
  }
  const std::string type = FailureTypeOf(error);
  const std::string_view message = StdView(error.message());
  if (std::optional<absl::Duration> delay = RetryAfterOf(error);
      delay.has_value() && !IsNonRetryable(error)) {
    DurationToProto(*delay, outcome->mutable_retry()->mutable_delay());
    SetFailure(type, message, false,
               outcome->mutable_retry()->mutable_failure());
    return OutcomeKind::kRetried;
  }
  SetFailure(type, message, IsNonRetryable(error), outcome->mutable_failure());
  return OutcomeKind::kFailed;
}

}  // namespace apium
