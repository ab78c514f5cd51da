#include "worker/broker_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/log.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "worker/stream_inbox.h"

namespace apium {
namespace {

// A broker that accepted the stream answers at once; this long after, it is
// taken for dead.
constexpr absl::Duration kWelcomeTimeout = absl::Seconds(20);

}  // namespace

// One stream. Lives from OpenCall to OnDone. Holds itself open for writes from
// other threads until RemoveHold.
class BrokerStream::Call final
    : public grpc::ClientBidiReactor<v1::WorkRequest, v1::WorkResponse> {
 public:
  explicit Call(BrokerStream* stream) : stream_(stream) {}

  void Begin(v1::WorkerService::Stub* stub, const v1::WorkRequest* hello) {
    stub->async()->Work(&context_, this);
    AddHold();
    StartWrite(hello);
    ReadNext();
    StartCall();
  }

  void Break() { context_.TryCancel(); }

  void OnWriteDone(bool /*ok*/) override { stream_->OnWritten(); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      stream_->OnReadsEnded();
      return;
    }
    const DeliveryStorage storage = inbox_->CountShared();
    stream_->OnRead({inbox_, inbox_->response()}, storage);
    ReadNext();
  }

  // Destroys this.
  void OnDone(const grpc::Status& status) override {
    stream_->OnCallDone(FromGrpcStatus(status));
  }

 private:
  void ReadNext() {
    inbox_ = std::make_shared<StreamInbox>(stream_->shared_bytes_);
    StartRead(inbox_->response());
  }

  BrokerStream* const stream_;
  grpc::ClientContext context_;
  std::shared_ptr<StreamInbox> inbox_;
};

BrokerStream::BrokerStream(BrokerStreamOptions options)
    : options_([&] {
        options.core.owner = this;
        return std::move(options);
      }()),
      stub_(v1::WorkerService::NewStub(options_.channel)),
      shared_bytes_(std::make_shared<std::atomic<size_t>>(0)),
      core_([&] {
        SessionCoreOptions core = options_.core;
        core.chunk_window = chunk_window_.get();
        return core;
      }()),
      random_(std::random_device{}()) {}

BrokerStream::~BrokerStream() {
  absl::MutexLock lock(&mu_);
  APIUM_CHECK(call_ == nullptr) << "a stream is destroyed before Close";
}

void BrokerStream::Start() {
  {
    absl::MutexLock lock(&mu_);
    state_ = State::kOpen;
  }
  OpenCall();
}

void BrokerStream::OpenCall() {
  auto new_call = std::make_unique<Call>(this);
  Call* const call = new_call.get();
  absl::Duration wake;
  {
    absl::MutexLock lock(&mu_);
    call_ = std::move(new_call);
    core_.FillHello(request_.mutable_hello());
    write_in_flight_ = true;
    own_error_ = absl::OkStatus();
    welcome_by_ = options_.clock->Monotonic() + kWelcomeTimeout;
    wake = EarlierTimer();
  }
  // gRPC must not have a reaction before this returns to a consistent state:
  // from here on they may come.
  call->Begin(stub_.get(), &request_);
  WakeBy(wake);
}

BrokerStream::Call* BrokerStream::PrepareWrite() {
  if (state_ != State::kOpen || write_in_flight_) return nullptr;
  if (!core_.NextReport(options_.clock->Monotonic(),
                        request_.mutable_report())) {
    return nullptr;
  }
  write_in_flight_ = true;
  return call_.get();
}

void BrokerStream::Pump() {
  Call* call = nullptr;
  {
    absl::MutexLock lock(&mu_);
    call = PrepareWrite();
  }
  if (call != nullptr) call->StartWrite(&request_);
}

void BrokerStream::OnWritten() {
  Call* call = nullptr;
  bool finish = false;
  bool half_close = false;
  {
    absl::MutexLock lock(&mu_);
    if (request_.has_report()) core_.OnReportWritten(request_.mutable_report());
    write_in_flight_ = false;
    if (state_ == State::kOpen) {
      call = PrepareWrite();
    } else {
      finish = true;
      half_close = closing_;
      call = call_.get();
    }
  }
  if (call == nullptr) return;
  if (!finish) {
    call->StartWrite(&request_);
    return;
  }
  if (half_close) call->StartWritesDone();
  call->RemoveHold();
}

void BrokerStream::OnRead(
    const std::shared_ptr<const v1::WorkResponse>& response,
    DeliveryStorage storage) {
  SessionEffects effects;
  absl::Status status;
  Call* broken_call = nullptr;
  absl::Duration wake;
  bool was_open = false;
  bool changed = false;
  bool resumed = false;
  std::string session_id;
  {
    absl::MutexLock lock(&mu_);
    was_open = core_.open();
    resumed = response->has_welcome() && response->welcome().resumed();
    status = core_.OnResponse(response, storage, options_.clock->Monotonic(),
                              &effects);
    if (!status.ok()) {
      own_error_ = status;
      broken_call = call_.get();
    }
    if (!was_open && core_.open()) {
      session_id = core_.session_id();
      welcome_by_ = absl::InfiniteDuration();
      options_.metrics->CountStreamOpened();
      changed = true;
    }
    changed |= draining_ && core_.held() == 0;
    wake = EarlierTimer();
  }
  if (!session_id.empty()) {
    LogInfo("connected to broker", {{"broker", options_.target},
                                    {"session_id", session_id},
                                    {"resumed", resumed}});
  }
  CarryOut(&effects);
  WakeBy(wake);
  // Its end is reported like any other.
  if (broken_call != nullptr) broken_call->Break();
  Pump();
  if (changed) options_.changed();
}

void BrokerStream::OnReadsEnded() {
  Call* call = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kOpen) return;
    state_ = State::kEnding;
    // With a write in flight, OnWritten follows and lets go.
    if (!write_in_flight_) call = call_.get();
  }
  if (call != nullptr) call->RemoveHold();
}

void BrokerStream::OnCallDone(const absl::Status& call_status) {
  std::unique_ptr<Call> call;
  SessionEffects effects;
  absl::Status status;
  absl::Duration delay;
  absl::Duration wake;
  bool closing = false;
  {
    absl::MutexLock lock(&mu_);
    const bool welcomed = core_.open();
    status = own_error_.ok() ? call_status : own_error_;
    core_.OnStreamClosed(status, &effects);
    if (welcomed) options_.metrics->CountStreamClosed();
    welcome_by_ = absl::InfiniteDuration();
    closing = closing_;
    if (!closing) {
      // A stream that worked and broke is opened again soon; one that is
      // refused, or that one side cannot bear, later and later.
      const bool healthy = welcomed && !absl::IsInvalidArgument(status);
      failures_ = healthy ? 1 : failures_ + 1;
      delay = BackoffDelay(options_.backoff, failures_, random_);
      reconnect_at_ = options_.clock->Monotonic() + delay;
      last_error_ = status.ok()
                        ? absl::UnavailableError("the broker ended the stream")
                        : status;
      status = last_error_;
    }
    wake = EarlierTimer();
  }
  if (!closing) {
    options_.metrics->CountReconnect();
    LogWarning(
        "stream to broker ended",
        {{"broker", options_.target}, {"error", status}, {"retry_in", delay}});
  }
  CarryOut(&effects);
  WakeBy(wake);
  options_.changed();
  {
    absl::MutexLock lock(&mu_);
    call = std::move(call_);
  }
  call.reset();  // this ran on it
  // Only now: Close waits for this, and the stream may be gone right after.
  absl::MutexLock lock(&mu_);
  state_ = closing_ ? State::kClosed : State::kWaiting;
}

void BrokerStream::CarryOut(SessionEffects* effects) {
  options_.pool->Run(&effects->run);
  for (SessionEffects::Cancel& cancel : effects->cancels) {
    options_.pool->Cancel(cancel.attempt, cancel.cause, cancel.reason);
  }
  if (effects->places_freed) options_.places_freed();
  if (effects->drain_requested) options_.drain_requested();
}

void BrokerStream::OnFinished(
    absl::Span<const std::shared_ptr<Attempt>> attempts) {
  SessionEffects effects;
  Call* call = nullptr;
  bool changed = false;
  {
    absl::MutexLock lock(&mu_);
    core_.OnFinished(attempts, &effects);
    call = PrepareWrite();
    changed = draining_ && core_.running() == 0;
  }
  if (call != nullptr) call->StartWrite(&request_);
  CarryOut(&effects);
  if (changed) options_.changed();
}

void BrokerStream::OnProgress(const Attempt& attempt) {
  absl::Duration wake;
  {
    absl::MutexLock lock(&mu_);
    core_.OnProgress(attempt, options_.clock->Monotonic());
    wake = EarlierTimer();
  }
  WakeBy(wake);
}

void BrokerStream::OnChunks(const Attempt& attempt) {
  Call* call = nullptr;
  {
    absl::MutexLock lock(&mu_);
    core_.OnChunks(attempt);
    call = PrepareWrite();
  }
  if (call != nullptr) call->StartWrite(&request_);
}

// --- Time ---

absl::Duration BrokerStream::NextTimer() const {
  const absl::Duration next = std::min(core_.NextTimer(), welcome_by_);
  return std::min(next, reconnect_at_);
}

absl::Duration BrokerStream::EarlierTimer() {
  const absl::Duration next = NextTimer();
  if (next >= timer_at_) return absl::InfiniteDuration();
  timer_at_ = next;
  return next;
}

void BrokerStream::WakeBy(absl::Duration when) const {
  if (when != absl::InfiniteDuration()) options_.wake_by(when);
}

absl::Duration BrokerStream::OnTimer(absl::Duration now) {
  SessionEffects effects;
  bool reconnect = false;
  Call* late_call = nullptr;
  {
    absl::MutexLock lock(&mu_);
    core_.OnTimer(now, &effects);
    if (state_ == State::kWaiting && now >= reconnect_at_) {
      reconnect_at_ = absl::InfiniteDuration();
      state_ = State::kOpen;
      reconnect = true;
    }
    if (now >= welcome_by_ && state_ == State::kOpen && call_ != nullptr) {
      welcome_by_ = absl::InfiniteDuration();
      own_error_ = absl::DeadlineExceededError(
          StrCat("no Welcome within ", absl::FormatDuration(kWelcomeTimeout)));
      late_call = call_.get();
      // Broken off under the lock, which keeps the call from going.
      late_call->Break();
    }
  }
  CarryOut(&effects);
  if (reconnect) OpenCall();
  Pump();
  absl::MutexLock lock(&mu_);
  timer_at_ = NextTimer();
  return timer_at_;
}

// --- Leaving ---

void BrokerStream::Drain() {
  SessionEffects effects;
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
    core_.Drain(&effects);
  }
  CarryOut(&effects);
  Pump();
  options_.changed();
}

void BrokerStream::CancelAll(std::string_view reason) {
  SessionEffects effects;
  {
    absl::MutexLock lock(&mu_);
    core_.CancelAll(reason, &effects);
  }
  CarryOut(&effects);
}

void BrokerStream::ReturnAll(std::string_view reason) {
  {
    absl::MutexLock lock(&mu_);
    core_.ReturnAll(reason);
  }
  Pump();
}

void BrokerStream::Close(absl::Duration timeout) {
  Call* idle_call = nullptr;
  {
    absl::MutexLock lock(&mu_);
    closing_ = true;
    reconnect_at_ = absl::InfiniteDuration();
    if (state_ == State::kWaiting) state_ = State::kClosed;
    if (state_ == State::kOpen) {
      state_ = State::kEnding;
      // With a write in flight, OnWritten follows and half-closes.
      if (!write_in_flight_) idle_call = call_.get();
    }
  }
  if (idle_call != nullptr) {
    idle_call->StartWritesDone();
    idle_call->RemoveHold();
  }
  auto closed = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return state_ == State::kClosed;
  };
  absl::MutexLock lock(&mu_);
  if (mu_.AwaitWithTimeout(absl::Condition(&closed), timeout)) return;
  if (call_ != nullptr) call_->Break();
  mu_.Await(absl::Condition(&closed));
}

// --- Questions ---

bool BrokerStream::connected() const {
  absl::MutexLock lock(&mu_);
  return core_.open();
}

bool BrokerStream::idle() const {
  absl::MutexLock lock(&mu_);
  return core_.held() == 0;
}

size_t BrokerStream::held() const {
  absl::MutexLock lock(&mu_);
  return core_.held();
}

size_t BrokerStream::running() const {
  absl::MutexLock lock(&mu_);
  return core_.running();
}

absl::Status BrokerStream::last_error() const {
  absl::MutexLock lock(&mu_);
  return last_error_;
}

}  // namespace apium
