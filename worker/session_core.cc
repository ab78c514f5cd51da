#include "worker/session_core.h"

#include <algorithm>

#include "common/error_reason.h"
#include "common/limits.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "worker/task_error.h"

namespace apium {
namespace {

// A heartbeat is small, but a broker that asks for one each microsecond is
// mistaken.
constexpr absl::Duration kHeartbeatFloor = absl::Milliseconds(10);

// Reason of FAILED_PRECONDITION (worker_service.proto).
constexpr std::string_view kSessionReplaced = "SESSION_REPLACED";

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

absl::Status Violation(std::string_view what) {
  return WithReason(absl::InvalidArgumentError(
                        StrCat("the broker broke the protocol: ", what)),
                    reason::kProtocolViolation);
}

// A broker that takes outcomes and is slow to acknowledge them costs memory, so
// there is a bound; twice the capacity lets a full worker go on meanwhile.
uint64_t HeldMax(uint64_t capacity) {
  return std::max(capacity, std::min<uint64_t>(2 * capacity, kHeldLeasesMax));
}

absl::Status StatusFrom(const v1::ItemError& error) {
  absl::Status status(static_cast<absl::StatusCode>(error.code()),
                      error.message());
  if (status.ok()) status = absl::UnknownError(error.message());
  // What comes from outside may be no reason at all.
  return error.reason() == reason::kChunkLimit
             ? WithReason(std::move(status), reason::kChunkLimit)
             : status;
}

// An attempt that never ran: carries an outcome of the session's own.
std::shared_ptr<Attempt> StandIn(const v1::Lease& lease) {
  return std::make_shared<Attempt>(nullptr, lease, nullptr);
}

}  // namespace

SessionCore::SessionCore(SessionCoreOptions options)
    : options_(std::move(options)),
      held_max_(HeldMax(options_.slots->capacity())),
      heartbeat_interval_(kHeartbeatDefault) {}

// --- Stream ---

void SessionCore::FillHello(v1::Hello* hello) const {
  *hello = options_.hello;
  hello->set_session_id(session_id_);
  for (uint64_t epoch : SortedEpochs()) {
    *hello->add_held_leases() = entries_.find(epoch)->second.attempt->lease();
  }
}

absl::Status SessionCore::OnResponse(
    const std::shared_ptr<const v1::WorkResponse>& response,
    DeliveryStorage storage, absl::Duration now, SessionEffects* effects) {
  if (response->has_welcome()) {
    return OnWelcome(response->welcome(), now, effects);
  }
  if (!response->has_push()) return Violation("a message without content");
  if (!open_) return Violation("the first message is not a Welcome");
  const v1::BrokerPush& push = response->push();
  for (const v1::ChunkAcknowledgement& chunks : push.chunk_acknowledgements()) {
    auto it = entries_.find(chunks.epoch());
    if (it == entries_.end()) continue;
    it->second.attempt->AcknowledgeChunks(
        chunks.number(),
        chunks.has_error() ? StatusFrom(chunks.error()) : absl::OkStatus());
  }
  for (uint64_t epoch : push.acknowledged_epochs()) {
    auto it = entries_.find(epoch);
    // An acknowledgement may come twice, or after a resume that settled it.
    if (it == entries_.end()) continue;
    if (!it->second.finished) {
      return Violation(
          StrCat("epoch ", epoch, " is acknowledged and has no outcome yet"));
    }
    effects->released.push_back(std::move(it->second.attempt));
    entries_.erase(it);
  }
  for (const v1::RefusedReport& refused : push.refused()) {
    OnRefused(refused, effects);
  }
  const std::shared_ptr<const v1::WorkResponse> shared =
      storage == DeliveryStorage::kShare ? response : nullptr;
  for (const v1::Delivery& delivery : push.deliveries()) {
    APIUM_RETURN_IF_ERROR(OnDelivery(delivery, shared, now, effects));
  }
  for (const v1::CancelExecution& cancel : push.cancels()) {
    OnCancelExecution(cancel, effects);
  }
  for (const v1::ControlCommand& control : push.controls()) {
    OnControl(control, effects);
  }
  return absl::OkStatus();
}

absl::Status SessionCore::OnWelcome(const v1::Welcome& welcome,
                                    absl::Duration now,
                                    SessionEffects* effects) {
  if (open_) return Violation("a second Welcome");
  if (welcome.session_id().empty()) return Violation("no session_id");
  if (welcome.max_credit() == 0) return Violation("max_credit is 0");
  open_ = true;
  session_id_ = welcome.session_id();
  max_credit_ = welcome.max_credit();
  const absl::Duration interval = FromProto(welcome.heartbeat_interval());
  heartbeat_interval_ = interval <= absl::ZeroDuration()
                            ? kHeartbeatDefault
                            : std::max(interval, kHeartbeatFloor);
  heartbeat_due_ = now + heartbeat_interval_;
  draining_told_ = false;

  if (!welcome.resumed()) {
    LoseAll("the broker did not resume the session", effects);
  }
  for (uint64_t epoch : welcome.lost_epochs()) {
    auto it = entries_.find(epoch);
    if (it != entries_.end()) Lose(it, "the lease was lost", effects);
  }
  // What was said on the former stream may not have arrived: say it again.
  unsent_.clear();
  start_unsaid_.clear();
  start_ready_.clear();
  chunks_ready_.clear();
  if (options_.chunk_window != nullptr && welcome.chunk_window_bytes() > 0)
    options_.chunk_window->SetLimit(welcome.chunk_window_bytes());
  for (uint64_t epoch : SortedEpochs()) {
    Attempt& attempt = *entries_.find(epoch)->second.attempt;
    if (attempt.has_stream()) {
      attempt.SendAgain();
      chunks_ready_.push_back(epoch);
      progress_unsaid_.push_back(epoch);
      collect_at_ = std::min(collect_at_, now + kReportDelay);
    }
    (entries_.find(epoch)->second.finished
         ? static_cast<void>(unsent_.push_back(epoch))
         : start_unsaid_.push_back(epoch));
  }
  if (!start_unsaid_.empty()) {
    collect_at_ = std::min(collect_at_, now + kReportDelay);
  }
  return absl::OkStatus();
}

absl::Status SessionCore::OnDelivery(
    const v1::Delivery& delivery,
    const std::shared_ptr<const v1::WorkResponse>& shared, absl::Duration now,
    SessionEffects* effects) {
  const v1::Lease& lease = delivery.lease();
  if (lease.epoch() == 0 || lease.task_id().empty() || !delivery.has_spec()) {
    return Violation("a delivery without lease or spec");
  }
  auto [it, inserted] = entries_.try_emplace(lease.epoch());
  if (!inserted) {
    return Violation(StrCat("epoch ", lease.epoch(), " is delivered twice"));
  }
  Entry& entry = it->second;
  ++running_;
  if (credit_ == 0) {
    // It was on its way when the draining was told, or the broker miscounted.
    auto stand_in = StandIn(lease);
    stand_in->mutable_outcome()->mutable_returned()->set_reason(
        draining_ ? "draining" : "delivered beyond the credit");
    FinishInstead(&entry, std::move(stand_in));
    return absl::OkStatus();
  }
  --credit_;
  if (delivery.spec().has_soft_time_limit()) {
    entry.soft_time_limit = FromProto(delivery.spec().soft_time_limit());
  }
  entry.attempt = std::make_shared<Attempt>(
      options_.owner, lease,
      shared == nullptr
          ? std::make_shared<const v1::Delivery>(delivery)
          : std::shared_ptr<const v1::Delivery>(shared, &delivery));
  effects->run.push_back(entry.attempt);
  start_unsaid_.push_back(lease.epoch());
  collect_at_ = std::min(collect_at_, now + kReportDelay);
  return absl::OkStatus();
}

void SessionCore::OnRefused(const v1::RefusedReport& refused,
                            SessionEffects* effects) {
  auto it = entries_.find(refused.epoch());
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  const v1::ItemError& error = refused.error();
  const bool lease_is_ours =
      error.code() == static_cast<int>(absl::StatusCode::kInvalidArgument);
  if (!lease_is_ours) {
    Lose(it, error.message(), effects);
    return;
  }
  // The broker cannot take what was said, but the lease is still ours. A
  // refused start or progress is of no consequence. A refused outcome would
  // leave the task leased for as long as this session lives, so the task fails
  // with the reason instead, once.
  if (!entry.finished) return;
  if (entry.replaced) {
    entries_.erase(it);
    return;
  }
  auto stand_in = StandIn(entry.attempt->lease());
  v1::Failure* failure = stand_in->mutable_outcome()->mutable_failure();
  failure->set_type(std::string(failure_type::kBadResult));
  failure->set_message(
      StrCat("the broker refused the outcome: ", error.message()));
  failure->set_non_retryable(true);
  ++running_;  // FinishInstead counts it down
  entry.finished = false;
  entry.replaced = true;
  FinishInstead(&entry, std::move(stand_in));
}

void SessionCore::OnCancelExecution(const v1::CancelExecution& cancel,
                                    SessionEffects* effects) {
  auto it = entries_.find(cancel.lease().epoch());
  // Finished meanwhile: the outcome is on its way.
  if (it == entries_.end() || it->second.finished) return;
  effects->cancels.push_back(
      {it->second.attempt, CancelCause::kRequested, cancel.reason()});
}

void SessionCore::OnControl(const v1::ControlCommand& control,
                            SessionEffects* effects) {
  v1::ControlReply& reply = control_replies_.emplace_back();
  reply.set_control_id(control.control_id());
  if (control.has_drain()) {
    effects->drain_requested = true;
  } else if (!control.has_ping()) {
    v1::ItemError* error = reply.mutable_error();
    error->set_code(static_cast<int>(absl::StatusCode::kUnimplemented));
    error->set_message("this worker does not know the command");
    error->set_reason(std::string(reason::kNotImplemented));
  }
}

void SessionCore::OnStreamClosed(const absl::Status& status,
                                 SessionEffects* effects) {
  const bool welcomed = open_;
  open_ = false;
  heartbeat_due_ = absl::InfiniteDuration();
  control_replies_.clear();
  GiveBackCredit(effects);
  // Another stream took the session over, or the broker cannot even be greeted
  // with it: start afresh, or it would be refused for ever.
  const bool replaced = ReasonOf(status) == kSessionReplaced;
  const bool unwelcome =
      !welcomed && status.code() == absl::StatusCode::kInvalidArgument;
  if (replaced || unwelcome) {
    session_id_.clear();
    LoseAll("the session ended", effects);
  }
}

void SessionCore::Lose(Entries::iterator it, std::string_view reason,
                       SessionEffects* effects) {
  Entry& entry = it->second;
  if (entry.attempt->has_stream())
    entry.attempt->DropChunks(absl::CancelledError(AbslView(reason)));
  if (!entry.finished) {
    --running_;
    ForgetDeadline(&entry);
    effects->cancels.push_back({std::move(entry.attempt),
                                CancelCause::kLeaseLost, std::string(reason)});
  }
  entries_.erase(it);
}

void SessionCore::LoseAll(std::string_view reason, SessionEffects* effects) {
  for (uint64_t epoch : SortedEpochs()) {
    Lose(entries_.find(epoch), reason, effects);
  }
}

void SessionCore::ForgetDeadline(Entry* entry) {
  if (entry->deadline == absl::InfiniteDuration()) return;
  deadlines_.erase({entry->deadline, entry->attempt->epoch()});
  entry->deadline = absl::InfiniteDuration();
}

std::vector<uint64_t> SessionCore::SortedEpochs() const {
  std::vector<uint64_t> epochs;
  epochs.reserve(entries_.size());
  for (const auto& [epoch, entry] : entries_) epochs.push_back(epoch);
  std::sort(epochs.begin(), epochs.end());
  return epochs;
}

// --- Pool ---

void SessionCore::OnFinished(
    absl::Span<const std::shared_ptr<Attempt>> attempts,
    SessionEffects* effects) {
  for (const std::shared_ptr<Attempt>& attempt : attempts) {
    auto it = entries_.find(attempt->epoch());
    // Lost or handed back meanwhile: only its place becomes free.
    if (it == entries_.end() || it->second.attempt != attempt) continue;
    Entry& entry = it->second;
    ForgetDeadline(&entry);
    entry.finished = true;
    --running_;
    unsent_.push_back(attempt->epoch());
  }
  effects->places_freed |=
      options_.slots->Give(options_.broker, attempts.size());
}

void SessionCore::OnProgress(const Attempt& attempt, absl::Duration now) {
  progress_unsaid_.push_back(attempt.epoch());
  collect_at_ = std::min(collect_at_, now + kReportDelay);
}

void SessionCore::OnChunks(const Attempt& attempt) {
  // At once: whoever follows the task waits for them. What comes while a report
  // is being written goes with the next.
  if (chunks_ready_.empty() || chunks_ready_.back() != attempt.epoch())
    chunks_ready_.push_back(attempt.epoch());
}

void SessionCore::FinishInstead(Entry* entry,
                                std::shared_ptr<Attempt> stand_in) {
  unsent_.push_back(stand_in->epoch());
  entry->attempt = std::move(stand_in);
  entry->finished = true;
  --running_;
}

// --- Leaving ---

void SessionCore::Drain(SessionEffects* effects) {
  draining_ = true;
  GiveBackCredit(effects);
}

void SessionCore::CancelAll(std::string_view reason, SessionEffects* effects) {
  for (uint64_t epoch : SortedEpochs()) {
    Entry& entry = entries_.find(epoch)->second;
    if (entry.finished) continue;
    effects->cancels.push_back(
        {entry.attempt, CancelCause::kDraining, std::string(reason)});
  }
}

void SessionCore::ReturnAll(std::string_view reason) {
  for (uint64_t epoch : SortedEpochs()) {
    Entry& entry = entries_.find(epoch)->second;
    if (entry.finished) continue;
    ForgetDeadline(&entry);
    auto stand_in = StandIn(entry.attempt->lease());
    stand_in->mutable_outcome()->mutable_returned()->set_reason(
        std::string(reason));
    FinishInstead(&entry, std::move(stand_in));
  }
}

void SessionCore::GiveBackCredit(SessionEffects* effects) {
  effects->places_freed |= options_.slots->Give(options_.broker, credit_);
  credit_ = 0;
}

}  // namespace apium
