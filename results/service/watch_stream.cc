#include "results/service/watch_stream.h"

#include <utility>

#include "common/rpc/grpc_status.h"

namespace apium::results {
namespace {

// The core is told what was taken at the latest after this much, so that it
// goes on pushing while the rest is being sent.
constexpr size_t kTellBytes = 256 * 1024;

}  // namespace

WatchStream::WatchStream(CallTable* table, Mailbox* mailbox)
    : table_(table), mailbox_(mailbox), id_(table->NewId()) {}

void WatchStream::Start(std::shared_ptr<WatchStream> self, WatchBegin begin) {
  self_ = self;
  table_->Add(id_, std::move(self));
  const absl::Status posted = mailbox_->PushCall(std::move(begin));
  if (!posted.ok()) {
    OnEnd(posted);
  }
}

void WatchStream::OnWriteDone(bool ok) {
  Next next;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    taken_bytes_ += outbound_.front().bytes;
    outbound_.pop_front();
    if (!ok && !end_.has_value()) {
      end_ = absl::CancelledError("the reader has gone");
    }
    next = Decide();
  }
  Do(next);
}

void WatchStream::OnCancel() {
  OnEnd(absl::CancelledError("the reader has gone"));
}

void WatchStream::OnDone() {
  table_->Take(id_);
  mailbox_->Push(WatchEnd{.stream = id_}).IgnoreError();
  const std::shared_ptr<WatchStream> self = std::move(self_);
  // gRPC comes here after every other reaction has ended. The lock says so to
  // those who cannot look into gRPC.
  absl::MutexLock lock(&mu_);
}

void WatchStream::OnPush(WatchPush push) {
  Next next;
  {
    absl::MutexLock lock(&mu_);
    outbound_.push_back(std::move(push));
    next = Decide();
  }
  Do(next);
}

void WatchStream::OnEnd(const absl::Status& status) {
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

WatchStream::Next WatchStream::Decide() {
  Next next;
  if (finished_ || writing_) {
    return next;
  }
  const bool gone = end_.has_value() && absl::IsCancelled(*end_);
  if (!outbound_.empty() && !gone) {
    writing_ = true;
    next.write = &outbound_.front().message;
  } else if (end_.has_value()) {
    finished_ = true;
    next.finish = end_;
  }
  if (!end_.has_value() && (outbound_.empty() || taken_bytes_ >= kTellBytes)) {
    next.taken_bytes = std::exchange(taken_bytes_, 0);
  }
  return next;
}

void WatchStream::Do(const Next& next) {
  if (next.taken_bytes > 0) {
    mailbox_->Push(WatchTaken{.stream = id_, .bytes = next.taken_bytes})
        .IgnoreError();
  }
  if (next.write != nullptr) {
    StartWrite(next.write);
  }
  if (next.finish.has_value()) {
    Finish(ToGrpcStatus(*next.finish));
  }
}

}  // namespace apium::results
