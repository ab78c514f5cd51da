#include "client/task_stream.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "client/stream_session.h"
#include "client/task_rpc.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/strings.h"
#include "common/uuid.h"

namespace apium {
namespace {

constexpr size_t kWindowMax = 1'000'000;

absl::Status ValidateOptions(const TaskStreamOptions& options) {
  if (options.window < 1 || options.window > kWindowMax) {
    return InvalidField(
        "window", StrCat(options.window, " is outside 1 to ", kWindowMax));
  }
  if (options.batch_tasks_max < 1 || options.batch_tasks_max > kBatchTasksMax) {
    return InvalidField(
        "batch_tasks_max",
        StrCat(options.batch_tasks_max, " is outside 1 to ", kBatchTasksMax));
  }
  return absl::OkStatus();
}

void FillTaskId(v1::TaskSpec* spec) {
  if (spec->task_id().empty()) spec->set_task_id(NewUuidV7(absl::Now()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskStream>> TaskStream::Open(
    TaskClient* client, TaskStreamOptions options) {
  if (absl::Status status = ValidateOptions(options); !status.ok())
    return status;
  client->connection_->KeepCallbacksAwake();
  auto session = std::make_unique<StreamSession>(
      client->rpc_->stub.get(), client->options(), std::move(options));
  if (absl::Status status =
          session->Connect(absl::Now() + client->options().deadline);
      !status.ok())
    return status;
  return std::unique_ptr<TaskStream>(new TaskStream(std::move(session)));
}

TaskStream::TaskStream(std::unique_ptr<StreamSession> session)
    : session_(std::move(session)) {}

TaskStream::~TaskStream() = default;

absl::StatusOr<uint64_t> TaskStream::Submit(v1::TaskSpec* spec) {
  FillTaskId(spec);
  return session_->Submit(absl::MakeSpan(spec, 1),
                          StreamSession::WhenFull::kWait);
}

absl::StatusOr<uint64_t> TaskStream::SubmitMany(
    absl::Span<v1::TaskSpec> specs) {
  for (v1::TaskSpec& spec : specs) FillTaskId(&spec);
  return session_->Submit(specs, StreamSession::WhenFull::kWait);
}

absl::StatusOr<uint64_t> TaskStream::TrySubmit(v1::TaskSpec* spec) {
  FillTaskId(spec);
  return session_->Submit(absl::MakeSpan(spec, 1),
                          StreamSession::WhenFull::kRefuse);
}

absl::Status TaskStream::Finish(absl::Duration timeout) {
  return session_->Finish(absl::Now() + timeout);
}

size_t TaskStream::unanswered() const { return session_->unanswered(); }
std::vector<std::string> TaskStream::UnansweredIds() const {
  return session_->UnansweredIds();
}
size_t TaskStream::awaiting_outcome() const {
  return session_->awaiting_outcome();
}

}  // namespace apium
