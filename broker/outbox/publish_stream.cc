#include "broker/outbox/publish_stream.h"

#include <grpcpp/channel.h>

#include <utility>

#include "broker/service/task_to_proto.h"
#include "common/rpc/grpc_status.h"

namespace apium::broker {
namespace {

// Messages above this do not keep their memory for the next one.
constexpr size_t kKeptMessageBytesMax = 2 * 1024 * 1024;

}  // namespace

PublishStream::PublishStream(std::shared_ptr<grpc::Channel> channel,
                             const std::string& shard_id,
                             std::function<void(uint64_t)> on_confirmed,
                             std::function<void()> on_changed)
    : stub_(v1::ResultService::NewStub(std::move(channel))),
      on_confirmed_(std::move(on_confirmed)),
      on_changed_(std::move(on_changed)) {
  stub_->async()->PublishOutcomes(&rpc_, this);
  // Sends start outside of reactions: without the hold the stream could end
  // between two of them.
  AddHold();
  request_.mutable_hello()->set_shard_id(shard_id);
  StartWrite(&request_);
  StartRead(&response_);
  StartCall();
}

PublishStream::~PublishStream() {
  bool finished;
  {
    absl::MutexLock lock(&mu_);
    finished = finish_called_;
  }
  if (!finished) Finish().IgnoreError();
}

std::optional<uint64_t> PublishStream::first_confirmed() const {
  absl::MutexLock lock(&mu_);
  return first_confirmed_;
}

bool PublishStream::writable() const {
  absl::MutexLock lock(&mu_);
  return !writing_ && !broken_ && first_confirmed_.has_value();
}

bool PublishStream::broken() const {
  absl::MutexLock lock(&mu_);
  return broken_;
}

size_t PublishStream::Send(const OutboxEntry& entry) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = true;
  }
  v1::OutcomeBatch* const batch = request_.mutable_batch();
  batch->Clear();
  batch->set_position(entry.position);
  for (const std::shared_ptr<const Outcome>& outcome : entry.outcomes) {
    OutcomeToProto(*outcome, View::kFull, batch->add_outcomes());
  }
  const size_t bytes = request_.ByteSizeLong();
  StartWrite(&request_);
  return bytes;
}

absl::Status PublishStream::Finish() {
  bool cancel;
  {
    absl::MutexLock lock(&mu_);
    finish_called_ = true;
    cancel = !broken_;
  }
  if (cancel) rpc_.TryCancel();
  RemoveHold();
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(
      +[](std::optional<absl::Status>* done) { return done->has_value(); },
      &done_));
  return *done_;
}

void PublishStream::OnReadDone(bool ok) {
  if (ok) {
    {
      absl::MutexLock lock(&mu_);
      if (!first_confirmed_.has_value()) {
        first_confirmed_ = response_.confirmed_position();
      }
    }
    on_confirmed_(response_.confirmed_position());
    StartRead(&response_);
  } else {
    absl::MutexLock lock(&mu_);
    broken_ = true;
  }
  on_changed_();
}

void PublishStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) broken_ = true;
    if (request_.GetCachedSize() > static_cast<int>(kKeptMessageBytesMax)) {
      request_ = v1::PublishOutcomesRequest();
    }
  }
  on_changed_();
}

void PublishStream::OnDone(const grpc::Status& status) {
  // The owner may destroy this as soon as the lock is free.
  absl::MutexLock lock(&mu_);
  done_ = FromGrpcStatus(status);
}

}  // namespace apium::broker
