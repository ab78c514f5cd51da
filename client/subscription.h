// A server stream that is kept up: messages in, a callback for each, reconnects
// in between. Private to client/.

#ifndef APIUM_CLIENT_SUBSCRIPTION_H_
#define APIUM_CLIENT_SUBSCRIPTION_H_

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/async_calls.h"
#include "client/retry_session.h"
#include "client/unary_call.h"
#include "common/rpc/grpc_status.h"

namespace apium {

// Deletes itself after `done`.
template <typename Request, typename Response>
class Subscription final : public CancellableCall {
 public:
  using Open = std::function<void(grpc::ClientContext*, const Request*,
                                  grpc::ClientReadReactor<Response>*)>;
  // One message; false ends the subscription with OK. May change the request
  // with which a reconnect is made.
  using OnMessage = std::function<bool(const Response&, Request* resume)>;
  using Done = std::function<void(absl::Status)>;

  // Callbacks run one at a time on threads of gRPC's; `calls` must outlive the
  // subscription.
  static void Start(AsyncCalls* calls, const CallPolicy& policy,
                    Request request, Open open, OnMessage on_message,
                    Done done) {
    auto* subscription =
        new Subscription(calls, policy, std::move(request), std::move(open),
                         std::move(on_message), std::move(done));
    if (calls->Enter(subscription)) {
      subscription->Attempt();
    } else {
      subscription->done_(absl::CancelledError("the client is closed"));
      delete subscription;
    }
  }

  void Cancel() override {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    if (reader_ != nullptr) reader_->context.TryCancel();
    if (alarm_ != nullptr) alarm_->Cancel();
  }

 private:
  struct Reader final : grpc::ClientReadReactor<Response> {
    explicit Reader(Subscription* subscription) : owner(subscription) {}
    void OnReadDone(bool ok) override {
      if (!ok) return;
      if (!owner->on_message_(response, &owner->request_)) {
        owner->stopped_ = true;
        context.TryCancel();
        return;
      }
      this->StartRead(&response);
    }
    void OnDone(const grpc::Status& status) override {
      owner->OnAttemptDone(status);
    }

    Subscription* const owner;
    grpc::ClientContext context;
    Response response;
  };

  Subscription(AsyncCalls* calls, const CallPolicy& policy, Request request,
               Open open, OnMessage on_message, Done done)
      : calls_(calls),
        session_(policy.retry, policy.kind, policy.deadline),
        request_(std::move(request)),
        open_(std::move(open)),
        on_message_(std::move(on_message)),
        done_(std::move(done)) {}

  void Attempt() {
    attempt_start_ = absl::Now();
    Reader* reader = nullptr;
    {
      absl::MutexLock lock(&mu_);
      alarm_.reset();
      reader_ = std::make_unique<Reader>(this);
      if (session_.deadline() != absl::InfiniteFuture()) {
        reader_->context.set_deadline(absl::ToChronoTime(session_.deadline()));
      }
      if (cancelled_) reader_->context.TryCancel();
      reader = reader_.get();
    }
    // The call holds a pointer to the request that it is made with; on_message
    // changes the one for the next call.
    attempt_request_ = request_;
    open_(&reader->context, &attempt_request_, reader);
    reader->StartRead(&reader->response);
    reader->StartCall();
  }

  void OnAttemptDone(const grpc::Status& grpc_status) {
    if (stopped_) return Finish(absl::OkStatus());
    const absl::Status status = FromGrpcStatus(grpc_status);
    if (status.ok()) return Finish(status);
    const std::optional<absl::Duration> delay =
        session_.NextDelay(status, attempt_start_, absl::Now(), RetryRandom());
    if (!delay.has_value()) return Finish(session_.Annotate(status));
    bool cancelled = false;
    {
      absl::MutexLock lock(&mu_);
      cancelled = cancelled_;
      if (!cancelled) {
        alarm_ = std::make_unique<grpc::Alarm>();
        alarm_->Set(absl::ToChronoTime(absl::Now() + *delay),
                    [this](bool expired) {
                      if (expired) return Attempt();
                      Finish(absl::CancelledError("the client is closed"));
                    });
      }
    }
    if (cancelled) Finish(absl::CancelledError("the client is closed"));
  }

  void Finish(const absl::Status& status) {
    {
      // As in AsyncCall: the context lets go of its channel first.
      absl::MutexLock lock(&mu_);
      reader_.reset();
    }
    done_(status);
    calls_->Leave(this);
    delete this;
  }

  AsyncCalls* const calls_;
  RetrySession session_;
  Request request_;
  Request attempt_request_;
  const Open open_;
  const OnMessage on_message_;
  const Done done_;
  bool stopped_ = false;
  absl::Time attempt_start_;
  absl::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<Reader> reader_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_CLIENT_SUBSCRIPTION_H_
