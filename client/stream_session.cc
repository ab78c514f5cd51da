#include "client/stream_session.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "client/item_error.h"
#include "client/unary_call.h"
#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"

namespace apium {
namespace {

// Waits for outcomes at a time, after a reconnect: bounds what a large backlog
// asks of the broker at once.
constexpr size_t kFetchesMax = 64;
// How long a broker may take to end a stream on which nothing is owed any more.
constexpr absl::Duration kCloseTimeout = absl::Seconds(5);

// A broker that ends a stream on purpose says why. What has no reason is the
// connection's end, which gRPC reports under several codes, or a broker that
// closed the stream without a word: both mean "open it again".
absl::Status DescribeStreamEnd(absl::Status status) {
  if (status.ok())
    return absl::UnavailableError("the broker closed the stream");
  const bool transport = status.code() == absl::StatusCode::kInternal ||
                         status.code() == absl::StatusCode::kUnknown ||
                         status.code() == absl::StatusCode::kCancelled;
  if (transport && ReasonOf(status).empty())
    return absl::UnavailableError(status.message());
  return status;
}

}  // namespace

// One gRPC stream. Its fields are guarded by the session's mu_, unless only one
// reaction uses them.
class StreamSession::Wire final
    : public grpc::ClientBidiReactor<v1::StreamTasksRequest,
                                     v1::StreamTasksResponse> {
 public:
  explicit Wire(StreamSession* session) : session_(session) {
    open_.mutable_open()->set_namespace_(
        session->client_options_.namespace_name);
    open_.mutable_open()->set_report_outcomes(session->options_.on_outcome !=
                                              nullptr);
  }

  void Start() {
    session_->stub_->async()->StreamTasks(&context_, this);
    // Submit writes from outside of reactions: the hold keeps OnDone away until
    // that has stopped.
    AddHold();
    StartWrite(&open_);
    StartRead(&response_);
    StartCall();
  }

  void OnWriteDone(bool) override { session_->OnWriteDone(); }
  void OnWritesDoneDone(bool) override { session_->OnWriteDone(); }

  void OnReadDone(bool ok) override {
    if (!ok) return session_->OnReadsEnded();
    absl::Status status;
    if (response_.has_opened()) {
      status = session_->OnOpened(response_.opened());
    } else {
      status = session_->OnResults(response_.results());
    }
    if (!status.ok()) {
      protocol_error_ = status;
      context_.TryCancel();
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& grpc_status) override {
    absl::Status status = protocol_error_.ok()
                              ? DescribeStreamEnd(FromGrpcStatus(grpc_status))
                              : protocol_error_;
    session_->OnWireDone(std::unique_ptr<Wire>(this), std::move(status));
  }

  void Cancel() { context_.TryCancel(); }

  bool writing = true;  // `open` is the first write
  bool reads_ended = false;
  bool half_closed = false;

 private:
  StreamSession* const session_;
  grpc::ClientContext context_;
  v1::StreamTasksRequest open_;
  v1::StreamTasksResponse response_;
  absl::Status protocol_error_;
};

StreamSession::StreamSession(v1::TaskService::Stub* stub,
                             const ClientOptions& client_options,
                             TaskStreamOptions options)
    : stub_(stub),
      client_options_(client_options),
      options_(std::move(options)),
      wake_room_(std::max<size_t>(1, options_.window / 4)),
      ledger_({.window = options_.window,
               .batch_tasks_max = options_.batch_tasks_max}) {}

StreamSession::~StreamSession() {
  {
    absl::MutexLock lock(&mu_);
    closing_ = true;
    if (wire_ != nullptr) wire_->Cancel();
    if (alarm_ != nullptr) alarm_->Cancel();
    while (!Quiet()) changed_.Wait(&mu_);
  }
  fetches_.CancelAndWait();
}

absl::Status StreamSession::Connect(absl::Time deadline) {
  {
    absl::MutexLock lock(&mu_);
    retry_ = std::make_unique<RetrySession>(client_options_.retry,
                                            CallKind::kIdempotent, deadline);
  }
  StartWire();
  absl::MutexLock lock(&mu_);
  while (!was_open_ && gave_up_.ok()) {
    if (changed_.WaitWithDeadline(&mu_, deadline) && !was_open_ &&
        gave_up_.ok()) {
      return absl::DeadlineExceededError(
          StrCat("the broker did not open the stream within ",
                 absl::FormatDuration(client_options_.deadline)));
    }
  }
  return was_open_ ? absl::OkStatus() : gave_up_;
}

absl::StatusOr<uint64_t> StreamSession::Submit(absl::Span<v1::TaskSpec> specs,
                                               WhenFull when_full) {
  uint64_t first = 0;
  for (size_t i = 0; i < specs.size();) {
    Wire* wire = nullptr;
    const v1::StreamTasksRequest* message = nullptr;
    {
      absl::MutexLock lock(&mu_);
      while (!finishing_ && gave_up_.ok() && ledger_.room() == 0) {
        if (when_full == WhenFull::kRefuse) {
          return WithReason(absl::ResourceExhaustedError(
                                StrCat("all ", ledger_.window(),
                                       " tasks of the window are unanswered")),
                            "WINDOW_FULL");
        }
        room_.Wait(&mu_);
      }
      if (!gave_up_.ok()) return gave_up_;
      if (finishing_) {
        return WithReason(
            absl::FailedPreconditionError("the stream is finished"),
            "STREAM_FINISHED");
      }
      while (i < specs.size() && ledger_.room() > 0) {
        last_sequence_ = ledger_.Add(&specs[i++]);
        if (first == 0) first = last_sequence_;
      }
      message = NextWrite();
      wire = wire_;
    }
    if (message != nullptr) wire->StartWrite(message);
  }
  return first;
}

absl::Status StreamSession::Finish(absl::Time deadline) {
  Wire* wire = nullptr;
  {
    absl::MutexLock lock(&mu_);
    finishing_ = true;
    room_.SignalAll();
    while (gave_up_.ok() && !Settled()) {
      if (changed_.WaitWithDeadline(&mu_, deadline) && gave_up_.ok() &&
          !Settled()) {
        return absl::DeadlineExceededError(
            StrCat(ledger_.unanswered(), " tasks are unanswered and ",
                   awaiting_outcome_.size(), " have no outcome yet"));
      }
    }
    if (!gave_up_.ok()) return gave_up_;
    if (wire_ != nullptr && !wire_->reads_ended && !wire_->half_closed) {
      wire = wire_;
      wire->writing = true;
      wire->half_closed = true;
    }
  }
  if (wire != nullptr) wire->StartWritesDone();
  absl::MutexLock lock(&mu_);
  const absl::Time close_deadline =
      std::min(deadline, absl::Now() + kCloseTimeout);
  while (wire_ != nullptr) {
    if (changed_.WaitWithDeadline(&mu_, close_deadline)) break;
  }
  // The destructor cancels what is left.
  return fetch_error_;
}

size_t StreamSession::unanswered() const {
  absl::MutexLock lock(&mu_);
  return ledger_.unanswered();
}

std::vector<std::string> StreamSession::UnansweredIds() const {
  absl::MutexLock lock(&mu_);
  return ledger_.UnansweredIds();
}

size_t StreamSession::awaiting_outcome() const {
  absl::MutexLock lock(&mu_);
  return awaiting_outcome_.size();
}

void StreamSession::StartWire() {
  auto wire = std::make_unique<Wire>(this);
  {
    absl::MutexLock lock(&mu_);
    reopening_ = false;
    if (closing_) {
      changed_.SignalAll();
      return;
    }
    attempt_start_ = absl::Now();
    wire_ = wire.get();
  }
  wire.release()->Start();
}

const v1::StreamTasksRequest* StreamSession::NextWrite() {
  if (!open_ || wire_->writing || wire_->reads_ended) return nullptr;
  const v1::StreamTasksRequest* message = ledger_.Next();
  wire_->writing = message != nullptr;
  return message;
}

absl::Status StreamSession::OnOpened(const v1::StreamOpened& opened) {
  Wire* wire = nullptr;
  const v1::StreamTasksRequest* message = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (open_ || opened.window() == 0) {
      return absl::InternalError(
          "the broker opened the stream twice, or with a window of 0");
    }
    ledger_.Open(opened.window());
    open_ = true;
    was_open_ = true;
    // What was accepted before has no outcome on this stream.
    to_fetch_.assign(awaiting_outcome_.begin(), awaiting_outcome_.end());
    message = NextWrite();
    wire = wire_;
    changed_.SignalAll();
  }
  if (message != nullptr) wire->StartWrite(message);
  FetchMore();
  return absl::OkStatus();
}

absl::Status StreamSession::OnResults(const v1::StreamResults& results) {
  Wire* wire = nullptr;
  const v1::StreamTasksRequest* message = nullptr;
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    if (!open_)
      return absl::InternalError(
          "the broker answered tasks before it opened the stream");
    status = TakeIn(results);
    if (ledger_.room() >= wake_room_) room_.SignalAll();
    message = NextWrite();
    wire = wire_;
    ++calling_back_;
  }
  // First, so that the broker has work while the callbacks run.
  if (message != nullptr) wire->StartWrite(message);
  CallBack();
  bool fetch = false;
  {
    absl::MutexLock lock(&mu_);
    ledger_.Recycle();
    --calling_back_;
    fetch = !to_fetch_.empty();
    if (finishing_ || closing_) changed_.SignalAll();
  }
  if (fetch) FetchMore();
  return status;
}

absl::Status StreamSession::TakeIn(const v1::StreamResults& results) {
  delivered_.acks.clear();
  delivered_.outcomes.clear();
  absl::Status status;
  for (const v1::StreamSubmitResult& result : results.submitted()) {
    absl::StatusOr<StreamLedger::Answered> answered =
        ledger_.Answer(result.sequence());
    if (!answered.ok()) {
      status = answered.status();
      break;
    }
    delivered_.acks.push_back({.answered = *answered, .result = &result});
    if (options_.on_outcome == nullptr || result.has_error()) continue;
    const std::string& task_id = delivered_.acks.back().task_id();
    awaiting_outcome_.insert(task_id);
    if (answered->sequence <= resubmitted_up_to_) to_fetch_.push_back(task_id);
  }
  for (const v1::TaskOutcome& outcome : results.outcomes()) {
    if (awaiting_outcome_.erase(outcome.task_id()) > 0)
      delivered_.outcomes.push_back(&outcome);
  }
  return status;
}

void StreamSession::CallBack() {
  absl::MutexLock lock(&callback_mu_);
  if (options_.on_ack != nullptr) {
    SubmitAck ack;
    for (const Delivered::Ack& delivered : delivered_.acks) {
      ack.sequence = delivered.answered.sequence;
      ack.task_id = delivered.task_id();
      ack.attached = delivered.result->attached();
      ack.status = delivered.result->has_error()
                       ? StatusFromItemError(delivered.result->error())
                       : absl::OkStatus();
      options_.on_ack(ack);
    }
  }
  for (const v1::TaskOutcome* outcome : delivered_.outcomes)
    options_.on_outcome(*outcome);
}

void StreamSession::OnWriteDone() {
  Wire* wire = nullptr;
  const v1::StreamTasksRequest* message = nullptr;
  bool release = false;
  {
    absl::MutexLock lock(&mu_);
    wire = wire_;
    wire->writing = false;
    release = wire->reads_ended;
    message = NextWrite();
    if (finishing_ && message == nullptr) changed_.SignalAll();
  }
  if (message != nullptr) wire->StartWrite(message);
  if (release) wire->RemoveHold();
}

void StreamSession::OnReadsEnded() {
  Wire* wire = nullptr;
  {
    absl::MutexLock lock(&mu_);
    wire_->reads_ended = true;
    if (wire_->writing) return;  // OnWriteDone releases the hold
    wire = wire_;
  }
  wire->RemoveHold();
}

void StreamSession::OnWireDone(std::unique_ptr<Wire> wire,
                               absl::Status status) {
  StreamInterruption interruption;
  absl::Duration delay;
  {
    absl::MutexLock lock(&mu_);
    wire_ = nullptr;
    // Its context holds the channel. The last holder of a channel must not be
    // one of gRPC's threads, which would then wait for its own end; so this one
    // lets go before the owner of the session can.
    wire.reset();
    const bool interrupted = std::exchange(open_, false);
    if (closing_ || (finishing_ && Settled())) {
      changed_.SignalAll();
      return;
    }
    const absl::Time now = absl::Now();
    if (interrupted) {
      interruption.unanswered_ids = ledger_.UnansweredIds();
      ledger_.Rewind();
      resubmitted_up_to_ = last_sequence_;
      ClientRetryOptions retry = client_options_.retry;
      retry.attempts_max = 0;
      retry_ = std::make_unique<RetrySession>(retry, CallKind::kIdempotent,
                                              now + options_.reconnect_timeout);
    }
    const std::optional<absl::Duration> next =
        retry_->NextDelay(status, attempt_start_, now, RetryRandom());
    if (!next.has_value()) return GiveUp(retry_->Annotate(status));
    delay = *next;
    if (!interrupted || options_.on_interruption == nullptr)
      return ScheduleReopening(delay);
    ++calling_back_;
  }
  {
    absl::MutexLock lock(&callback_mu_);
    interruption.cause = std::move(status);
    options_.on_interruption(interruption);
  }
  absl::MutexLock lock(&mu_);
  --calling_back_;
  ScheduleReopening(delay);
}

void StreamSession::ScheduleReopening(absl::Duration delay) {
  if (closing_) return changed_.SignalAll();
  reopening_ = true;
  alarm_ = std::make_unique<grpc::Alarm>();
  // A cancelled alarm comes here, too, and finds closing_ set.
  alarm_->Set(absl::ToChronoTime(absl::Now() + delay),
              [this](bool) { StartWire(); });
}

void StreamSession::GiveUp(absl::Status status) {
  gave_up_ = std::move(status);
  room_.SignalAll();
  changed_.SignalAll();
}

void StreamSession::FetchMore() {
  while (true) {
    std::string task_id;
    {
      absl::MutexLock lock(&mu_);
      if (closing_ || to_fetch_.empty() || fetching_ >= kFetchesMax) return;
      task_id = std::move(to_fetch_.front());
      to_fetch_.pop_front();
      if (!awaiting_outcome_.contains(task_id)) continue;  // it came meanwhile
      ++fetching_;
    }
    v1::WaitTaskRequest request;
    request.set_namespace_(client_options_.namespace_name);
    request.set_task_id(task_id);
    const CallPolicy policy = {.retry = client_options_.retry,
                               .kind = CallKind::kWait,
                               .deadline = absl::InfiniteFuture()};
    StartAsyncCall(
        &fetches_, policy, stub_->async(),
        &std::remove_pointer_t<decltype(stub_->async())>::WaitTask,
        std::move(request),
        [this, task_id](absl::StatusOr<v1::WaitTaskResponse> response) {
          OnFetched(task_id, response);
        });
  }
}

void StreamSession::OnFetched(const std::string& task_id,
                              absl::StatusOr<v1::WaitTaskResponse> response) {
  bool deliver = false;
  {
    absl::MutexLock lock(&mu_);
    --fetching_;
    if (closing_) return;
    // The stream may have told it meanwhile.
    deliver = awaiting_outcome_.erase(task_id) > 0 && response.ok();
    if (!response.ok() && fetch_error_.ok()) {
      fetch_error_ =
          absl::Status(response.status().code(),
                       StrCat("the outcome of task ", task_id,
                              " is not known: ", response.status().message()));
    }
    ++calling_back_;
  }
  if (deliver) {
    absl::MutexLock lock(&callback_mu_);
    options_.on_outcome(response->task().outcome());
  }
  {
    absl::MutexLock lock(&mu_);
    --calling_back_;
    changed_.SignalAll();
  }
  FetchMore();
}

bool StreamSession::Settled() const {
  return ledger_.unanswered() == 0 && awaiting_outcome_.empty() &&
         calling_back_ == 0 && (wire_ == nullptr || !wire_->writing);
}

bool StreamSession::Quiet() const {
  return wire_ == nullptr && !reopening_ && calling_back_ == 0;
}

}  // namespace apium
