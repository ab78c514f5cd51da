#include "worker/task_context.h"

#include <utility>

#include "common/utf8.h"
#include "worker/attempt.h"

namespace apium {
namespace {

// The proto's bound.
constexpr size_t kProgressMessageBytesMax = 1024;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

}  // namespace

const std::string& TaskContext::task_id() const {
  return attempt_.lease().task_id();
}
const std::string& TaskContext::task_type() const {
  return attempt_.delivery().spec().type();
}
const std::string& TaskContext::queue() const {
  return attempt_.delivery().spec().queue();
}
uint32_t TaskContext::attempt() const { return attempt_.lease().attempt(); }
uint32_t TaskContext::failures() const {
  return attempt_.delivery().failures();
}
uint64_t TaskContext::epoch() const { return attempt_.epoch(); }

std::string_view TaskContext::header(std::string_view name) const {
  const auto& headers = attempt_.delivery().spec().headers();
  auto it = headers.find(std::string(name));
  return it == headers.end() ? std::string_view() : it->second;
}

std::map<std::string, std::string> TaskContext::headers() const {
  const auto& headers = attempt_.delivery().spec().headers();
  return {headers.begin(), headers.end()};
}

std::optional<absl::Duration> TaskContext::soft_time_limit() const {
  const v1::TaskSpec& spec = attempt_.delivery().spec();
  if (!spec.has_soft_time_limit()) return std::nullopt;
  return FromProto(spec.soft_time_limit());
}

absl::Time TaskContext::deadline() const {
  std::optional<absl::Duration> limit = soft_time_limit();
  return limit.has_value() ? attempt_.start_time() + *limit
                           : absl::InfiniteFuture();
}

bool TaskContext::IsCancelled() const {
  return attempt_.cancel().IsCancelled();
}

bool TaskContext::WaitForCancellation(absl::Duration timeout) const {
  return attempt_.cancel().Wait(timeout);
}

void TaskContext::OnCancel(std::function<void()> callback) {
  attempt_.cancel().OnCancel(std::move(callback));
}

absl::Status TaskContext::CancellationStatus() const {
  if (!IsCancelled()) return absl::OkStatus();
  return absl::CancelledError(attempt_.cancel().reason());
}

void TaskContext::SetProgress(double completed, double total,
                              std::string_view message) {
  v1::Progress progress;
  progress.set_completed(completed);
  progress.set_total(total);
  progress.set_message(ToValidUtf8(message, kProgressMessageBytesMax));
  if (attempt_.StoreProgress(std::move(progress))) {
    attempt_.owner()->OnProgress(attempt_);
  }
}

void TaskContext::Log(LogLevel level, std::string_view message,
                      std::string_view detail) const {
  apium::Log(level, message,
             {{"task_id", task_id()},
              {"task_type", task_type()},
              {"attempt", attempt()},
              {"worker_id", worker_id_},
              {"detail", detail}});
}

}  // namespace apium
