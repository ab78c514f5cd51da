#include "results/service/publish_stream.h"

#include <utility>

#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/message_bytes.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "results/service/request_check.h"

namespace apium::results {
namespace {

absl::Status ProtocolViolation(const char* what) {
  return WithReason(absl::InvalidArgumentError(what),
                    reason::kProtocolViolation);
}

}  // namespace

PublishStream::PublishStream(PublishWindow window, CallTable* table,
                             Mailbox* mailbox)
    : window_(window), table_(table), mailbox_(mailbox), id_(table->NewId()) {}

void PublishStream::Start(std::shared_ptr<PublishStream> self) {
  self_ = self;
  table_->Add(id_, std::move(self));
  Next next;
  {
    absl::MutexLock lock(&mu_);
    next = Decide();
  }
  Do(next);
}

void PublishStream::OnReadDone(bool ok) {
  absl::Status accepted;
  if (ok) {
    accepted = Accept();
  }
  Next next;
  {
    absl::MutexLock lock(&mu_);
    reading_ = false;
    half_closed_ = half_closed_ || !ok;
    if (!accepted.ok() && !end_.has_value()) {
      end_ = std::move(accepted);
    }
    next = Decide();
  }
  Do(next);
}

absl::Status PublishStream::Accept() {
  if (message_ == nullptr) {
    message_ = table_->NewMessage();
  }
  APIUM_RETURN_IF_ERROR(ParseMessage(&message_bytes_, message_.get()));
  if (greeted_ ? !message_->has_batch() : !message_->has_hello()) {
    return ProtocolViolation(
        greeted_ ? "every message behind the first has to be a `batch`"
                 : "the first message has to be `hello`");
  }
  if (!greeted_) {
    APIUM_RETURN_IF_ERROR(CheckHello(message_->hello()));
  }
  const size_t bytes = message_->ByteSizeLong();
  {
    absl::MutexLock lock(&mu_);
    unconfirmed_.push_back(bytes);
    unconfirmed_bytes_ += bytes;
  }
  if (!greeted_) {
    greeted_ = true;
    return mailbox_->PushCall(
        PublishBegin{.stream = id_, .shard_id = message_->hello().shard_id()});
  }
  return mailbox_->Push(PublishBatch{
      .stream = id_, .message = std::move(message_), .bytes = bytes});
}

void PublishStream::OnWriteDone(bool ok) {
  Next next;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok && !end_.has_value()) {
      end_ = absl::CancelledError("the broker has gone");
    }
    next = Decide();
  }
  Do(next);
}

void PublishStream::OnCancel() {
  OnEnd(absl::CancelledError("the broker has gone"));
}

void PublishStream::OnDone() {
  table_->Take(id_);
  if (greeted_) {
    mailbox_->Push(PublishEnd{.stream = id_}).IgnoreError();
  }
  const std::shared_ptr<PublishStream> self = std::move(self_);
  // gRPC comes here after every other reaction has ended. The lock says so to
  // those who cannot look into gRPC.
  absl::MutexLock lock(&mu_);
}

void PublishStream::OnConfirmation(const Confirmation& confirmation) {
  Next next;
  {
    absl::MutexLock lock(&mu_);
    for (size_t i = 0; i < confirmation.messages_done; ++i) {
      unconfirmed_bytes_ -= unconfirmed_.front();
      unconfirmed_.pop_front();
    }
    to_confirm_ = confirmation.position;
    next = Decide();
  }
  Do(next);
}

void PublishStream::OnEnd(const absl::Status& status) {
  Next next;
  {
    absl::MutexLock lock(&mu_);
    if (!end_.has_value()) {
      end_ = status;
    }
    next = Decide();
  }
  Do(next);
}

PublishStream::Next PublishStream::Decide() {
  Next next;
  if (finished_) {
    return next;
  }
  if (!end_.has_value() && half_closed_ && unconfirmed_.empty() &&
      !to_confirm_.has_value()) {
    end_ = absl::OkStatus();
  }
  if (end_.has_value()) {
    // What is durable is still confirmed when the server stops.
    if (!writing_ && to_confirm_.has_value() && !absl::IsCancelled(*end_)) {
      writing_ = next.write = true;
      response_.set_confirmed_position(*std::exchange(to_confirm_, {}));
    } else if (!writing_) {
      finished_ = true;
      next.finish = end_;
    }
    return next;
  }
  if (!writing_ && to_confirm_.has_value()) {
    writing_ = next.write = true;
    response_.set_confirmed_position(*std::exchange(to_confirm_, {}));
  }
  if (!reading_ && !half_closed_ && unconfirmed_.size() < window_.batches_max &&
      unconfirmed_bytes_ < window_.bytes_max) {
    reading_ = next.read = true;
  }
  return next;
}

void PublishStream::Do(const Next& next) {
  if (next.read) {
    StartRead(&message_bytes_);
  }
  if (next.write) {
    SerializeMessage(response_, &response_bytes_);
    StartWrite(&response_bytes_);
  }
  if (next.finish.has_value()) {
    Finish(ToGrpcStatus(*next.finish));
  }
}

}  // namespace apium::results
