// One unary call with its attempts, blocking or with a callback: how every
// method of the clients talks to its server. Private to client/.

#ifndef APIUM_CLIENT_UNARY_CALL_H_
#define APIUM_CLIENT_UNARY_CALL_H_

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/async_calls.h"
#include "client/retry_session.h"
#include "common/rpc/grpc_status.h"

namespace apium {

struct CallPolicy {
  ClientRetryOptions retry;
  CallKind kind = CallKind::kIdempotent;
  absl::Time deadline;
};

// The policy of a call that does not wait.
inline CallPolicy QuickCall(const ClientOptions& options,
                            CallKind kind = CallKind::kIdempotent) {
  return {.retry = options.retry,
          .kind = kind,
          .deadline = absl::Now() + options.deadline};
}

// The policy of one that waits. Waits of a year and more are without end,
// because gRPC's deadlines are.
inline CallPolicy WaitingCall(const ClientOptions& options,
                              absl::Duration timeout) {
  const bool endless = timeout >= absl::Hours(24 * 365);
  return {.retry = options.retry,
          .kind = CallKind::kWait,
          .deadline = endless ? absl::InfiniteFuture() : absl::Now() + timeout};
}

inline absl::BitGenRef RetryRandom() {
  thread_local absl::BitGen random;
  return random;
}

// Calls `method` of `stub` until it succeeds or RetrySession ends it; blocks
// the calling thread. A blocking call has a completion queue to itself, so the
// calling thread does all the work: the lowest latency that gRPC has.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> BlockingCall(
    const CallPolicy& policy, Stub* stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request) {
  RetrySession session(policy.retry, policy.kind, policy.deadline);
  while (true) {
    const absl::Time start = absl::Now();
    grpc::ClientContext context;
    if (policy.deadline != absl::InfiniteFuture())
      context.set_deadline(absl::ToChronoTime(policy.deadline));
    Response response;
    const absl::Status status =
        FromGrpcStatus((stub->*method)(&context, request, &response));
    if (status.ok()) return response;
    const std::optional<absl::Duration> delay =
        session.NextDelay(status, start, absl::Now(), RetryRandom());
    if (!delay.has_value()) return session.Annotate(status);
    absl::SleepFor(*delay);
  }
}

// The same with a callback, which runs once on a thread of gRPC's (or on the
// caller's, if `calls` is closing) and must not block. No thread waits
// meanwhile. Deletes itself.
template <typename Request, typename Response>
class AsyncCall final : public CancellableCall {
 public:
  using Invoke =
      std::function<void(grpc::ClientContext*, const Request*, Response*,
                         std::function<void(grpc::Status)>)>;
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // `calls` must outlive the call; what `invoke` uses must live until `done`
  // has returned.
  static void Start(AsyncCalls* calls, const CallPolicy& policy,
                    Request request, Invoke invoke, Done done) {
    auto* call = new AsyncCall(calls, policy, std::move(request),
                               std::move(invoke), std::move(done));
    if (calls->Enter(call)) {
      call->Attempt();
    } else {
      call->done_(absl::CancelledError("the client is closed"));
      delete call;
    }
  }

  void Cancel() override {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
    if (alarm_ != nullptr) alarm_->Cancel();
  }

 private:
  AsyncCall(AsyncCalls* calls, const CallPolicy& policy, Request request,
            Invoke invoke, Done done)
      : calls_(calls),
        session_(policy.retry, policy.kind, policy.deadline),
        request_(std::move(request)),
        invoke_(std::move(invoke)),
        done_(std::move(done)) {}

  void Attempt() {
    attempt_start_ = absl::Now();
    grpc::ClientContext* context = nullptr;
    {
      absl::MutexLock lock(&mu_);
      alarm_.reset();
      context_ = std::make_unique<grpc::ClientContext>();
      if (session_.deadline() != absl::InfiniteFuture()) {
        context_->set_deadline(absl::ToChronoTime(session_.deadline()));
      }
      // A context that was cancelled before its call began ends that call at
      // once.
      if (cancelled_) context_->TryCancel();
      context = context_.get();
    }
    response_.Clear();
    invoke_(context, &request_, &response_,
            [this](const grpc::Status& status) { OnAttemptDone(status); });
  }

  void OnAttemptDone(const grpc::Status& grpc_status) {
    const absl::Status status = FromGrpcStatus(grpc_status);
    if (status.ok()) return Finish(std::move(response_));
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

  void Finish(absl::StatusOr<Response> result) {
    {
      // A context holds its channel. The last holder of a channel must not be
      // one of gRPC's threads, which would then wait for its own end; so this
      // one lets go before the owner of `calls_` can.
      absl::MutexLock lock(&mu_);
      context_.reset();
    }
    done_(std::move(result));
    calls_->Leave(this);
    delete this;
  }

  AsyncCalls* const calls_;
  RetrySession session_;
  const Request request_;
  const Invoke invoke_;
  const Done done_;
  Response response_;
  absl::Time attempt_start_;
  absl::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::unique_ptr<grpc::ClientContext> context_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mu_);
};

// Starts an AsyncCall of `method` of the callback stub `stub`, which must
// outlive `calls`.
template <typename AsyncStub, typename Request, typename Response>
void StartAsyncCall(
    AsyncCalls* calls, const CallPolicy& policy, AsyncStub* stub,
    void (AsyncStub::*method)(grpc::ClientContext*, const Request*, Response*,
                              std::function<void(grpc::Status)>),
    Request request, typename AsyncCall<Request, Response>::Done done) {
  AsyncCall<Request, Response>::Start(
      calls, policy, std::move(request),
      [stub, method](grpc::ClientContext* context, const Request* request,
                     Response* response,
                     std::function<void(grpc::Status)> done) {
        (stub->*method)(context, request, response, std::move(done));
      },
      std::move(done));
}

}  // namespace apium

#endif  // APIUM_CLIENT_UNARY_CALL_H_
