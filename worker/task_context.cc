#include "worker/task_context.h"

#include <cmath>
#include <utility>

#include "absl/time/clock.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/utf8.h"
#include "worker/attempt.h"

namespace apium {
namespace {

// The proto's bound.
constexpr size_t kProgressMessageBytesMax = 1024;
constexpr size_t kContentTypeBytes = 255;

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

// A broker would end the stream for these.
absl::Status CheckTypes(std::string_view field, const v1::Payload& payload) {
  for (const std::string* text :
       {&payload.content_type(), &payload.content_encoding()}) {
    if (text->size() <= kContentTypeBytes && IsValidUtf8(*text)) continue;
    return InvalidField(field, StrCat("has a content type or encoding that is "
                                      "not UTF-8 of at most ",
                                      kContentTypeBytes, " bytes"));
  }
  return absl::OkStatus();
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
uint32_t TaskContext::crashes() const { return attempt_.delivery().crashes(); }

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
  progress.set_message(std::string(message));
  SetProgress(std::move(progress)).IgnoreError();  // it has no details
}

absl::Status TaskContext::SetProgress(v1::Progress progress) {
  const v1::Payload& details = progress.details();
  if (details.data().size() > kProgressDetailsBytesMax) {
    return InvalidField("progress.details", StrCat("is ", details.data().size(),
                                                   " bytes; must be at most ",
                                                   kProgressDetailsBytesMax));
  }
  APIUM_RETURN_IF_ERROR(CheckTypes("progress.details", details));
  progress.set_message(
      ToValidUtf8(progress.message(), kProgressMessageBytesMax));
  progress.set_state(ToValidUtf8(progress.state(), kProgressStateBytesMax));
  if (attempt_.StoreProgress(std::move(progress))) {
    attempt_.owner()->OnProgress(attempt_);
  }
  return absl::OkStatus();
}

const v1::Payload* TaskContext::details() const {
  const v1::Delivery& delivery = attempt_.delivery();
  return delivery.has_details() ? &delivery.details() : nullptr;
}

absl::Status TaskContext::Charge(std::string_view limit, double points) {
  APIUM_RETURN_IF_ERROR(ValidateQueueName("limit", limit));
  if (!std::isfinite(points)) {
    return InvalidField("points", StrCat("is ", points, "; must be finite"));
  }
  if (points == 0) return absl::OkStatus();
  return attempt_.Charge(limit, points);
}

absl::Status TaskContext::Append(v1::Payload chunk, absl::Duration timeout) {
  APIUM_RETURN_IF_ERROR(CheckTypes("chunk", chunk));
  if (chunk.data().size() > kChunkBytesHardMax) {
    return WithReason(
        absl::ResourceExhaustedError(StrCat(
            "a chunk of ", chunk.data().size(),
            " bytes is above what any broker takes, ", kChunkBytesHardMax)),
        reason::kChunkLimit);
  }
  return attempt_.AppendChunk(std::move(chunk), absl::Now() + timeout);
}

absl::Status TaskContext::Append(std::string_view data,
                                 absl::Duration timeout) {
  v1::Payload chunk;
  chunk.set_data(std::string(data));
  return Append(std::move(chunk), timeout);
}

absl::Status TaskContext::FlushChunks(absl::Duration timeout) {
  return attempt_.FlushChunks(absl::Now() + timeout);
}

uint64_t TaskContext::earlier_chunks() const {
  return attempt_.delivery().chunks();
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
