#include "broker/dispatch/worker_session.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "broker/dispatch/push_to_proto.h"
#include "broker/dispatch/report_from_proto.h"
#include "broker/error_reasons.h"
#include "common/error_reason.h"
#include "common/log.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/message_bytes.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// A message stops growing here, far below gRPC's default receive limit of 4 MiB
// for workers in any language: the next one is filled into the memory of this.
// A single task may be larger.
constexpr size_t kMessageBytesTarget = 128 * 1024;

// Messages above this do not keep their memory for the next one.
constexpr int kKeptMessageBytesMax = 256 * 1024;

// Pushes that may wait for a worker that does not read before its reports are
// left unread, too. More than its largest credit.
constexpr size_t kQueuedMax = 131'072;

absl::Status ProtocolViolation(std::string_view what) {
  return WithReason(absl::InvalidArgumentError(AbslView(what)),
                    reason::kProtocolViolation);
}

}  // namespace

WorkerSession* WorkerSession::Start(const ServiceContext* context,
                                    const SessionTerms* terms) {
  auto session = std::make_shared<WorkerSession>(context, terms);
  session->self_ = session;
  WorkerSession* const reactor = session.get();
  reactor->StartRead(&reactor->request_bytes_);
  context->open_calls->Add(session);
  return reactor;
}

WorkerSession::WorkerSession(const ServiceContext* context,
                             const SessionTerms* terms)
    : context_(context), terms_(terms) {}

void WorkerSession::OnReadDone(bool ok) {
  if (!ok) {
    // The worker has nothing more to say: a stream that broke, or a worker that
    // leaves in order.
    TellDisconnected();
    return EndBehindQueue(absl::OkStatus());
  }
  absl::Status taken = ParseMessage(&request_bytes_, &request_);
  if (taken.ok()) taken = hello_taken_ ? TakeReport() : TakeHello();
  if (taken.ok()) return PushCommands();
  TellDisconnected();
  EndBehindQueue(taken);
}

absl::Status WorkerSession::TakeHello() {
  if (request_.message_case() != v1::WorkRequest::kHello) {
    return ProtocolViolation("the first message of Work must be `hello`");
  }
  OpenSessionCommand command;
  absl::Status status = OpenSessionFromProto(
      terms_->max_credit, request_.mutable_hello(), &command);
  if (!status.ok()) return status;
  hello_taken_ = true;
  command.sink = shared_from_this();
  const uint32_t items =
      1 + static_cast<uint32_t>(command.held_leases.size() / 16);
  commands_.push_back({std::move(command), items, 0});
  return absl::OkStatus();
}

absl::Status WorkerSession::TakeReport() {
  if (request_.message_case() != v1::WorkRequest::kReport) {
    return ProtocolViolation(
        request_.message_case() == v1::WorkRequest::kHello
            ? "only the first message of Work may be `hello`"
            : "every message of Work but the first must be `report`");
  }
  std::vector<uint64_t> oversized;
  v1::WorkerReport* const report = request_.mutable_report();
  absl::Status status =
      ReportFromProto(context_->limits, terms_->max_credit, shared_from_this(),
                      report, &commands_, &oversized);
  if (!status.ok()) {
    commands_.clear();
    return status;
  }
  for (const v1::ControlReply& reply : report->control_replies()) {
    if (!reply.has_error()) continue;
    LogWarning("a worker could not carry out a control command",
               {{"control_id", reply.control_id()},
                {"error", reply.error().message()}});
  }
  if (!oversized.empty()) {
    absl::MutexLock lock(&mu_);
    oversized_epochs_.insert(oversized_epochs_.end(), oversized.begin(),
                             oversized.end());
  }
  return absl::OkStatus();
}

void WorkerSession::PushCommands() {
  const absl::StatusOr<bool> pushed = context_->mailbox->PushAllOrWait(
      &commands_, MailboxShare::kReserved,
      std::weak_ptr<MailboxWaiter>(shared_from_this()));
  if (!pushed.ok()) return EndBehindQueue(pushed.status());
  if (!*pushed) return;
  bool gone;
  {
    absl::MutexLock lock(&mu_);
    session_asked_ = true;
    gone = gone_;
  }
  // The worker went while its hello waited for room.
  if (gone) return TellDisconnected();
  ReadOn();
}

void WorkerSession::OnMailboxRoom() {
  {
    absl::MutexLock lock(&mu_);
    if (gone_) return;
  }
  PushCommands();
}

void WorkerSession::ReadOn() {
  {
    absl::MutexLock lock(&mu_);
    if (finished_ || ending_) return;
    if (queued_.size() >= kQueuedMax) {
      read_paused_ = true;  // Advance reads on
      return;
    }
  }
  StartRead(&request_bytes_);
}

void WorkerSession::Take(WorkerPush&& push) {
  taken_.push_back(std::move(push));
}

void WorkerSession::Flush() {
  {
    absl::MutexLock lock(&mu_);
    if (!ending_) {
      if (!oversized_epochs_.empty()) MarkOversized();
      for (const WorkerPush& push : taken_) {
        if (std::holds_alternative<SessionClosed>(push.body)) ending_ = true;
      }
      if (queued_.empty()) {
        queued_.swap(taken_);
      } else {
        queued_.insert(queued_.end(), std::make_move_iterator(taken_.begin()),
                       std::make_move_iterator(taken_.end()));
      }
    }
  }
  taken_.clear();
  Advance();
}

void WorkerSession::MarkOversized() {
  const auto forget = [epochs = &oversized_epochs_](uint64_t epoch) {
    const auto it = std::find(epochs->begin(), epochs->end(), epoch);
    if (it == epochs->end()) return false;
    epochs->erase(it);
    return true;
  };
  for (WorkerPush& push : taken_) {
    if (const auto* refused = std::get_if<ReportRefused>(&push.body)) {
      forget(refused->epoch);
      continue;
    }
    const auto* acknowledged = std::get_if<OutcomeAcknowledged>(&push.body);
    if (acknowledged == nullptr || !forget(acknowledged->epoch)) continue;
    push.body = ReportRefused{
        .epoch = acknowledged->epoch,
        .status = WithReason(
            absl::InvalidArgumentError(StrCat(
                "the result is above the limit of ",
                context_->limits.payload_bytes_max,
                " bytes; the task has failed with apium.ResultTooLarge")),
            reason::kResultTooLarge)};
  }
}

void WorkerSession::EndBehindQueue(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!ending_) {
      ending_ = true;
      queued_.push_back({SessionClosed{status}});
    }
  }
  Advance();
}

void WorkerSession::Abandon(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!abandoned_) {
      abandoned_ = true;
      abandoned_with_ = status;
    }
    ending_ = true;
    queued_.clear();
  }
  Advance();
}

void WorkerSession::End(const absl::Status& status) { EndBehindQueue(status); }

void WorkerSession::OnCancel() {
  TellDisconnected();
  Abandon(absl::CancelledError("the worker has gone"));
}

void WorkerSession::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
  }
  if (!ok) return OnCancel();
  Advance();
}

void WorkerSession::Advance() {
  bool read = false;
  bool write = false;
  std::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mu_);
    if (finished_) return;
    if (!writing_) {
      if (abandoned_) {
        end = abandoned_with_;
        finished_ = true;
      } else {
        if (outgoing_next_ == outgoing_.size()) {
          outgoing_.clear();
          outgoing_next_ = 0;
          outgoing_.swap(queued_);
        }
        write = !outgoing_.empty();
        writing_ = write;
      }
    }
    if (read_paused_ && !ending_ && queued_.size() < kQueuedMax) {
      read_paused_ = false;
      read = true;
    }
  }
  if (read) StartRead(&request_bytes_);
  if (write) {
    end = BuildResponse();
    if (!end.has_value()) {
      SerializeMessage(response_, &response_bytes_);
      return StartWrite(&response_bytes_);
    }
    absl::MutexLock lock(&mu_);
    finished_ = true;
  }
  if (end.has_value()) {
    Finish(end->ok() ? grpc::Status::OK : ToGrpcStatus(*end));
  }
}

std::optional<absl::Status> WorkerSession::BuildResponse() {
  // As last written.
  if (response_.GetCachedSize() > kKeptMessageBytesMax) {
    response_ = v1::WorkResponse();
  }
  WorkerPush& first = outgoing_[outgoing_next_];
  if (const auto* closed = std::get_if<SessionClosed>(&first.body)) {
    return closed->status;
  }
  if (const auto* opened = std::get_if<SessionOpened>(&first.body)) {
    ++outgoing_next_;
    BuildWelcome(*opened);
    return std::nullopt;
  }
  v1::BrokerPush* const push = response_.mutable_push();
  push->Clear();
  size_t bytes = 0;
  while (outgoing_next_ < outgoing_.size() && bytes < kMessageBytesTarget) {
    WorkerPush& next = outgoing_[outgoing_next_];
    if (std::holds_alternative<SessionClosed>(next.body) ||
        std::holds_alternative<SessionOpened>(next.body)) {
      break;
    }
    bytes += AddPush(std::move(next), push);
    // Frees the task's content.
    next.body = OutcomeAcknowledged{};
    ++outgoing_next_;
  }
  return std::nullopt;
}

void WorkerSession::BuildWelcome(const SessionOpened& opened) {
  v1::Welcome* const welcome = response_.mutable_welcome();
  welcome->Clear();
  welcome->set_session_id(opened.session_id);
  welcome->set_resumed(opened.resumed);
  for (const uint64_t epoch : opened.lost_epochs) {
    welcome->add_lost_epochs(epoch);
  }
  DurationToProto(terms_->lease_duration, welcome->mutable_lease_duration());
  DurationToProto(terms_->heartbeat_interval,
                  welcome->mutable_heartbeat_interval());
  welcome->set_max_credit(terms_->max_credit);
  welcome->set_chunk_window_bytes(terms_->chunk_window_bytes);
}

void WorkerSession::TellDisconnected() {
  {
    absl::MutexLock lock(&mu_);
    gone_ = true;
    if (!session_asked_) return;
    session_asked_ = false;
  }
  context_->mailbox
      ->Push(SessionDisconnectedCommand{shared_from_this()},
             MailboxShare::kUnbounded)
      .IgnoreError();
}

void WorkerSession::OnDone() {
  TellDisconnected();
  context_->open_calls->Remove(this);
  self_.reset();
}

}  // namespace apium::broker
