#include "broker/service/task_stream.h"

#include <algorithm>
#include <variant>

#include "broker/error_reasons.h"
#include "broker/service/result_reader.h"
#include "broker/service/task_to_proto.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/message_bytes.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// Outcomes that wait for a client that does not read. Beyond, the stream ends:
// the client finds them with GetTask.
constexpr size_t kOutcomesMax = 65'536;
constexpr size_t kOutcomeBytesMax = 64 * 1024 * 1024;

// A message stops growing here; the next one is filled into its memory. A
// single outcome may be larger.
constexpr size_t kMessageBytesTarget = 128 * 1024;
// The same for ids of copies, of some 40 bytes each.
constexpr size_t kCopiesTarget = 4096;

// Messages above this do not keep their memory for the next one.
constexpr int kKeptMessageBytesMax = 256 * 1024;

absl::Status ProtocolViolation(std::string_view what) {
  return WithReason(absl::InvalidArgumentError(AbslView(what)),
                    reason::kProtocolViolation);
}

size_t OutcomeBytes(const Outcome& outcome) {
  return sizeof(Outcome) + outcome.result.data.size() +
         outcome.failure.message.size() + outcome.failure.stack.size();
}

}  // namespace

TaskStream* TaskStream::Start(const ServiceContext* context,
                              grpc::CallbackServerContext* rpc) {
  auto stream = std::make_shared<TaskStream>(context, rpc);
  stream->self_ = stream;
  TaskStream* const reactor = stream.get();
  reactor->StartRead(&reactor->request_bytes_);
  context->open_calls->Add(stream);
  return reactor;
}

TaskStream::TaskStream(const ServiceContext* context,
                       grpc::CallbackServerContext* rpc)
    : context_(context), rpc_(rpc) {}

void TaskStream::OnReadDone(bool ok) {
  if (!ok) {
    {
      absl::MutexLock lock(&mu_);
      peer_done_ = true;
    }
    return Advance();
  }
  absl::Status taken = ParseMessage(&request_bytes_, &request_);
  if (taken.ok()) taken = opened_ ? TakeBatch() : TakeOpen();
  if (!taken.ok()) EndWhenAnswered(taken);
}

absl::Status TaskStream::TakeOpen() {
  if (request_.message_case() != v1::StreamTasksRequest::kOpen) {
    return ProtocolViolation("the first message of StreamTasks must be `open`");
  }
  APIUM_ASSIGN_OR_RETURN(namespace_,
                         NamespaceFromProto(request_.open().namespace_()));
  report_outcomes_ = request_.open().report_outcomes();
  opened_ = true;
  {
    absl::MutexLock lock(&mu_);
    opened_unsent_ = true;
  }
  Advance();
  ReadOn();
  return absl::OkStatus();
}

absl::Status TaskStream::TakeBatch() {
  if (request_.message_case() != v1::StreamTasksRequest::kBatch) {
    return ProtocolViolation(
        "every message of StreamTasks but the first must be `batch`");
  }
  auto& specs = *request_.mutable_batch()->mutable_specs();
  const size_t count = specs.size();
  if (count == 0 || count > kBatchTasksMax) {
    return InvalidField("batch.specs", StrCat("has ", count, " tasks; must be ",
                                              "1 to ", kBatchTasksMax));
  }
  {
    absl::MutexLock lock(&mu_);
    // Only reads add slots, so there is room later, too.
    if (slots_.size() + count > context_->stream_window) {
      return WithReason(
          absl::ResourceExhaustedError(StrCat(
              slots_.size() + count, " tasks are unanswered; the window is ",
              context_->stream_window)),
          reason::kWindowExceeded);
    }
  }
  const absl::Time now = context_->clock->Now();
  const std::shared_ptr<ReplySink> sink = shared_from_this();
  commands_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    SubmitCommand command;
    absl::Status status =
        SubmitFromProto(context_->limits, namespace_, now,
                        &specs[static_cast<int>(i)], &command);
    if (!status.ok()) {
      refusals_.emplace_back(i, std::move(status));
      continue;
    }
    command.reply = {sink, next_sequence_ + i};
    command.report_outcome = report_outcomes_;
    const size_t bytes = ContentBytes(*command.content);
    commands_.push_back({std::move(command), 1, bytes});
  }
  const bool refused = !refusals_.empty();
  {
    absl::MutexLock lock(&mu_);
    const size_t first = slots_.size();
    slots_.resize(first + count);
    for (auto& [index, status] : refusals_) {
      slots_[first + index].answered = true;
      slots_[first + index].status = std::move(status);
    }
  }
  next_sequence_ += count;
  refusals_.clear();
  if (refused) Advance();
  PushCommands();
  return absl::OkStatus();
}

void TaskStream::PushCommands() {
  const absl::StatusOr<bool> pushed = context_->mailbox->PushAllOrWait(
      &commands_, MailboxShare::kOrdinary,
      std::weak_ptr<MailboxWaiter>(shared_from_this()));
  if (!pushed.ok()) return Abandon(pushed.status());
  if (*pushed) ReadOn();
}

void TaskStream::OnMailboxRoom() {
  {
    absl::MutexLock lock(&mu_);
    if (abandoned_) return;
  }
  PushCommands();
}

void TaskStream::ReadOn() {
  {
    absl::MutexLock lock(&mu_);
    if (finished_ || end_.has_value()) return;
    if (slots_.size() >= context_->stream_window) {
      read_paused_ = true;  // Advance reads on
      return;
    }
  }
  StartRead(&request_bytes_);
}

void TaskStream::Take(uint64_t tag, Reply&& reply) {
  if (SubmitReply* const submit = std::get_if<SubmitReply>(&reply.body)) {
    taken_answers_.push_back(
        {tag, std::move(submit->status), std::move(submit->task_id),
         submit->minted, submit->attached, std::move(submit->copy_task_ids)});
    return;
  }
  OutcomeReply* const outcome = std::get_if<OutcomeReply>(&reply.body);
  APIUM_CHECK(outcome != nullptr) << "reply of another kind";
  if (outcome->outcome != nullptr) {
    taken_outcomes_.push_back(std::move(outcome->outcome));
    return;
  }
  // Such an answer comes right behind that to the submit.
  APIUM_CHECK(!taken_answers_.empty() && taken_answers_.back().sequence == tag)
      << "an outcome that is elsewhere, of task " << tag;
  FetchOutcome(taken_answers_.back().task_id);
}

void TaskStream::FetchOutcome(const std::string& task_id) {
  if (context_->results == nullptr) {
    return TakeFetched(absl::NotFoundError("no result service"));
  }
  context_->results->Get(
      namespace_, task_id, absl::InfiniteFuture(),
      [self = shared_from_this()](absl::StatusOr<v1::TaskOutcome> outcome) {
        self->TakeFetched(std::move(outcome));
      });
}

void TaskStream::TakeFetched(absl::StatusOr<v1::TaskOutcome> outcome) {
  {
    absl::MutexLock lock(&mu_);
    --outcomes_awaited_;
    if (outcome.ok() && !abandoned_) {
      fetched_.push_back(*std::move(outcome));
    } else if (!absl::IsNotFound(outcome.status()) && !end_.has_value()) {
      // Not found: it has expired, and there is nothing to tell.
      end_ = outcome.status();
    }
  }
  Advance();
}

void TaskStream::Flush() {
  bool slow = false;
  {
    absl::MutexLock lock(&mu_);
    if (!abandoned_) {
      for (Answer& answer : taken_answers_) {
        if (answer.sequence < first_sequence_) continue;
        Slot& slot = slots_[answer.sequence - first_sequence_];
        slot.answered = true;
        if (report_outcomes_ && answer.status.ok()) ++outcomes_awaited_;
        slot.status = std::move(answer.status);
        slot.attached = answer.attached;
        slot.copy_task_ids = std::move(answer.copy_task_ids);
        if (answer.minted || answer.attached)
          slot.task_id = std::move(answer.task_id);
      }
      for (std::shared_ptr<const Outcome>& outcome : taken_outcomes_) {
        --outcomes_awaited_;
        outcome_bytes_ += OutcomeBytes(*outcome);
        outcomes_.push_back(std::move(outcome));
      }
      slow =
          outcomes_.size() > kOutcomesMax || outcome_bytes_ > kOutcomeBytesMax;
    }
  }
  taken_answers_.clear();
  taken_outcomes_.clear();
  if (slow) {
    Abandon(WithReason(
        absl::ResourceExhaustedError(StrCat(
            "more than ", kOutcomesMax, " outcomes or ", kOutcomeBytesMax,
            " bytes wait for a client that does not read them")),
        reason::kSlowReader));
    // The write that is stuck would keep the stream open.
    rpc_->TryCancel();
    return;
  }
  Advance();
}

void TaskStream::EndWhenAnswered(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!end_.has_value()) end_ = status;
  }
  Advance();
}

void TaskStream::Abandon(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!end_.has_value()) end_ = status;
    abandoned_ = true;
    slots_.clear();
    outcomes_.clear();
    fetched_.clear();
    outcome_bytes_ = 0;
  }
  Advance();
}

void TaskStream::End(const absl::Status& status) { EndWhenAnswered(status); }

void TaskStream::OnCancel() {
  Abandon(absl::CancelledError("the caller has gone"));
}

void TaskStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
  }
  if (!ok) return OnCancel();
  Advance();
}

bool TaskStream::GatherOutgoing() {
  if (abandoned_) return false;
  outgoing_answers_.clear();
  outgoing_outcomes_.clear();
  outgoing_opened_ = std::exchange(opened_unsent_, false);
  if (outgoing_opened_) return true;
  // Ids of copies are what may make answers large.
  size_t copies = 0;
  while (!slots_.empty() && slots_.front().answered && copies < kCopiesTarget) {
    Slot& slot = slots_.front();
    copies += slot.copy_task_ids.size();
    outgoing_answers_.push_back(
        {.sequence = first_sequence_,
         .status = std::move(slot.status),
         .task_id = std::move(slot.task_id),
         .attached = slot.attached,
         .copy_task_ids = std::move(slot.copy_task_ids)});
    slots_.pop_front();
    ++first_sequence_;
  }
  size_t bytes = 0;
  while (!outcomes_.empty() && bytes < kMessageBytesTarget) {
    const size_t outcome_bytes = OutcomeBytes(*outcomes_.front());
    bytes += outcome_bytes;
    outcome_bytes_ -= outcome_bytes;
    outgoing_outcomes_.push_back(std::move(outcomes_.front()));
    outcomes_.pop_front();
  }
  outgoing_fetched_.swap(fetched_);
  return !outgoing_answers_.empty() || !outgoing_outcomes_.empty() ||
         !outgoing_fetched_.empty();
}

void TaskStream::BuildResponse() {
  // As last written.
  if (response_.GetCachedSize() > kKeptMessageBytesMax) {
    response_ = v1::StreamTasksResponse();
  }
  if (outgoing_opened_) {
    response_.mutable_opened()->set_window(context_->stream_window);
    return;
  }
  v1::StreamResults* const results = response_.mutable_results();
  results->Clear();
  for (Answer& answer : outgoing_answers_) {
    v1::StreamSubmitResult* const result = results->add_submitted();
    result->set_sequence(answer.sequence);
    if (!answer.task_id.empty()) result->set_task_id(std::move(answer.task_id));
    result->set_attached(answer.attached);
    for (std::string& id : answer.copy_task_ids) {
      result->add_copy_task_ids(std::move(id));
    }
    if (!answer.status.ok()) {
      ItemErrorToProto(answer.status, result->mutable_error());
    }
  }
  for (const std::shared_ptr<const Outcome>& outcome : outgoing_outcomes_) {
    OutcomeToProto(*outcome, View::kFull, results->add_outcomes());
  }
  outgoing_outcomes_.clear();
  for (v1::TaskOutcome& outcome : outgoing_fetched_) {
    *results->add_outcomes() = std::move(outcome);
  }
  outgoing_fetched_.clear();
}

std::optional<absl::Status> TaskStream::DueEnd() const {
  if (!slots_.empty()) return std::nullopt;
  if (end_.has_value()) return end_;
  if (peer_done_ && outcomes_awaited_ <= 0) return absl::OkStatus();
  return std::nullopt;
}

void TaskStream::Advance() {
  bool write = false;
  bool read = false;
  std::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mu_);
    if (finished_) return;
    if (!writing_) {
      write = GatherOutgoing();
      writing_ = write;
      if (!write) end = DueEnd();
      finished_ = end.has_value();
    }
    if (read_paused_ && !finished_ && !end_.has_value() &&
        slots_.size() < context_->stream_window) {
      read_paused_ = false;
      read = true;
    }
  }
  if (read) StartRead(&request_bytes_);
  if (write) {
    BuildResponse();
    SerializeMessage(response_, &response_bytes_);
    StartWrite(&response_bytes_);
  }
  if (end.has_value()) {
    Finish(end->ok() ? grpc::Status::OK : ToGrpcStatus(*end));
  }
}

void TaskStream::OnDone() {
  context_->open_calls->Remove(this);
  if (report_outcomes_) {
    context_->mailbox
        ->Push(ForgetSinkCommand{shared_from_this()}, MailboxShare::kUnbounded)
        .IgnoreError();
  }
  self_.reset();
}

}  // namespace apium::broker
