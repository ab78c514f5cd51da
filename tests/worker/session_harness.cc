#include "tests/worker/session_harness.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/rpc/proto_time.h"

namespace apium {
namespace {

SessionCoreOptions CoreOptions(SlotLedger* slots, AttemptOwner* owner,
                               ChunkWindow* window) {
  SessionCoreOptions options;
  options.hello.set_worker_id("w1");
  options.slots = slots;
  options.owner = owner;
  options.chunk_window = window;
  return options;
}

const char* CauseName(CancelCause cause) {
  switch (cause) {
    case CancelCause::kRequested:
      return "requested";
    case CancelCause::kLeaseLost:
      return "lost";
    case CancelCause::kDraining:
      return "draining";
    case CancelCause::kTimeLimit:
      return "limit";
  }
  return "?";
}

template <typename Items>
std::string Epochs(const Items& items) {
  return absl::StrJoin(items, ",", [](std::string* out, const auto& item) {
    absl::StrAppend(out, item.lease().epoch());
  });
}

}  // namespace

SessionHarness::SessionHarness(uint32_t capacity, size_t brokers)
    : ledger_(capacity, brokers),
      core_(CoreOptions(&ledger_, this, window_.get())) {}

SessionHarness::~SessionHarness() { core_.OnReportWritten(&report_); }

absl::Status SessionHarness::Welcome(
    const std::string& session_id, bool resumed,
    const std::vector<uint64_t>& lost,
    const std::function<void(v1::Welcome*)>& change) {
  auto response = std::make_shared<v1::WorkResponse>();
  v1::Welcome* welcome = response->mutable_welcome();
  welcome->set_session_id(session_id);
  welcome->set_resumed(resumed);
  for (uint64_t epoch : lost) welcome->add_lost_epochs(epoch);
  welcome->mutable_heartbeat_interval()->set_seconds(10);
  welcome->set_max_credit(1000);
  if (change) change(welcome);
  absl::Status status = Respond(std::move(response));
  CarryOut();
  return status;
}

absl::Status SessionHarness::Respond(
    std::shared_ptr<const v1::WorkResponse> response) {
  // Both ways, in turn.
  storage_ = storage_ == DeliveryStorage::kShare ? DeliveryStorage::kCopy
                                                 : DeliveryStorage::kShare;
  return core_.OnResponse(std::move(response), storage_, now_, &effects_);
}

absl::Status SessionHarness::Push(
    const std::function<void(v1::BrokerPush*)>& fill) {
  auto response = std::make_shared<v1::WorkResponse>();
  fill(response->mutable_push());
  absl::Status status = Respond(std::move(response));
  CarryOut();
  return status;
}

absl::Status SessionHarness::Deliver(const std::vector<uint64_t>& epochs,
                                     absl::Duration soft_time_limit) {
  return Push([&](v1::BrokerPush* push) {
    for (uint64_t epoch : epochs) {
      v1::Delivery* delivery = push->add_deliveries();
      delivery->mutable_lease()->set_task_id(absl::StrCat("t", epoch));
      delivery->mutable_lease()->set_attempt(1);
      delivery->mutable_lease()->set_epoch(epoch);
      delivery->mutable_spec()->set_type("test.task");
      if (soft_time_limit > absl::ZeroDuration()) {
        DurationToProto(soft_time_limit,
                        delivery->mutable_spec()->mutable_soft_time_limit());
      }
    }
  });
}

absl::Status SessionHarness::Acknowledge(const std::vector<uint64_t>& epochs) {
  return Push([&](v1::BrokerPush* push) {
    for (uint64_t epoch : epochs) push->add_acknowledged_epochs(epoch);
  });
}

absl::Status SessionHarness::Refuse(uint64_t epoch, absl::StatusCode code) {
  return Push([&](v1::BrokerPush* push) {
    v1::RefusedReport* refused = push->add_refused();
    refused->set_epoch(epoch);
    refused->mutable_error()->set_code(static_cast<int>(code));
    refused->mutable_error()->set_message("refused");
  });
}

absl::Status SessionHarness::Cancel(uint64_t epoch, const std::string& reason) {
  return Push([&](v1::BrokerPush* push) {
    v1::CancelExecution* cancel = push->add_cancels();
    cancel->mutable_lease()->set_epoch(epoch);
    cancel->set_reason(reason);
  });
}

void SessionHarness::CloseStream(const absl::Status& status) {
  core_.OnStreamClosed(status, &effects_);
  CarryOut();
}

std::string SessionHarness::Hello() const {
  v1::Hello hello;
  core_.FillHello(&hello);
  return absl::StrCat(absl::StrJoin(hello.held_leases(), ",",
                                    [](std::string* out, const auto& lease) {
                                      absl::StrAppend(out, lease.epoch());
                                    }),
                      " session=", hello.session_id());
}

void SessionHarness::Start(uint64_t epoch) {
  pool_.at(epoch)->MarkStarted(absl::UnixEpoch() + now_, now_);
}

void SessionHarness::SetProgress(uint64_t epoch, double completed) {
  v1::Progress progress;
  progress.set_completed(completed);
  Attempt& attempt = *pool_.at(epoch);
  if (attempt.StoreProgress(progress)) OnProgress(attempt);
}

void SessionHarness::SetDetails(uint64_t epoch, const std::string& details) {
  v1::Progress progress;
  progress.mutable_details()->set_data(details);
  Attempt& attempt = *pool_.at(epoch);
  if (attempt.StoreProgress(progress)) OnProgress(attempt);
}

absl::Status SessionHarness::Charge(uint64_t epoch, const std::string& limit,
                                    double points) {
  return pool_.at(epoch)->Charge(limit, points);
}

absl::Status SessionHarness::Append(uint64_t epoch, const std::string& data,
                                    absl::Duration timeout) {
  v1::Payload chunk;
  chunk.set_data(data);
  return pool_.at(epoch)->AppendChunk(std::move(chunk), absl::Now() + timeout);
}

absl::Status SessionHarness::AcknowledgeChunks(uint64_t epoch, uint64_t number,
                                               const std::string& refusal) {
  return Push([&](v1::BrokerPush* push) {
    v1::ChunkAcknowledgement* chunks = push->add_chunk_acknowledgements();
    chunks->set_epoch(epoch);
    chunks->set_number(number);
    if (refusal.empty()) return;
    chunks->mutable_error()->set_code(
        static_cast<int>(absl::StatusCode::kResourceExhausted));
    chunks->mutable_error()->set_message("no more");
    chunks->mutable_error()->set_reason(refusal);
  });
}

void SessionHarness::OnProgress(const Attempt& attempt) {
  core_.OnProgress(attempt, now_);
}

void SessionHarness::Finish(uint64_t epoch, size_t bytes) {
  FinishTogether({epoch}, bytes);
}

void SessionHarness::FinishTogether(const std::vector<uint64_t>& epochs,
                                    size_t bytes) {
  std::vector<std::shared_ptr<Attempt>> attempts;
  for (uint64_t epoch : epochs) {
    auto it = pool_.find(epoch);
    attempts.push_back(it->second);
    pool_.erase(it);
    attempts.back()->mutable_result()->set_data(std::string(bytes, 'r'));
    attempts.back()->UseResult();
    attempts.back()->ForgetDelivery();
  }
  core_.OnFinished(attempts, &effects_);
  CarryOut();
}

void SessionHarness::Advance(absl::Duration step) {
  now_ += step;
  core_.OnTimer(now_, &effects_);
  CarryOut();
}

bool SessionHarness::BeginReport() { return core_.NextReport(now_, &report_); }

void SessionHarness::ReportWritten() { core_.OnReportWritten(&report_); }

std::string SessionHarness::Report() {
  if (!BeginReport()) return "";
  std::string text = Describe(report_);
  ReportWritten();
  return text;
}

std::string SessionHarness::Describe(const v1::WorkerReport& report) {
  std::vector<std::string> parts;
  if (report.started_size() > 0) {
    parts.push_back(absl::StrCat("started=", Epochs(report.started())));
  }
  for (const v1::TaskProgress& progress : report.progress()) {
    parts.push_back(absl::StrCat("progress=", progress.lease().epoch(), ":",
                                 progress.progress().completed(),
                                 progress.progress().details().data()));
  }
  for (const v1::LimitCharge& charge : report.charges()) {
    parts.push_back(absl::StrCat("charge=", charge.lease().epoch(), ":",
                                 charge.limit(), ":", charge.points()));
  }
  for (const v1::AppendedChunk& chunk : report.chunks()) {
    parts.push_back(absl::StrCat("chunk=", chunk.lease().epoch(), ".",
                                 chunk.number(), ":",
                                 chunk.payload().data().substr(0, 8)));
  }
  if (report.outcomes_size() > 0) {
    parts.push_back(absl::StrCat("outcomes=", Epochs(report.outcomes())));
  }
  if (report.credit() > 0) {
    parts.push_back(absl::StrCat("credit=", report.credit()));
  }
  if (report.draining()) parts.push_back("draining");
  for (const v1::ControlReply& reply : report.control_replies()) {
    parts.push_back(absl::StrCat("reply=", reply.control_id(),
                                 reply.has_error() ? "(error)" : ""));
  }
  if (parts.empty()) {
    parts.push_back(absl::StrCat("busy=", report.heartbeat().busy_slots()));
  }
  return absl::StrJoin(parts, " ");
}

void SessionHarness::CarryOut() {
  if (!effects_.run.empty()) {
    happened_.push_back(absl::StrCat(
        "run ", absl::StrJoin(effects_.run, ",",
                              [](std::string* out, const auto& attempt) {
                                absl::StrAppend(out, attempt->epoch());
                              })));
  }
  for (const std::shared_ptr<Attempt>& attempt : effects_.run) {
    pool_[attempt->epoch()] = attempt;
  }
  for (const SessionEffects::Cancel& cancel : effects_.cancels) {
    happened_.push_back(absl::StrCat("cancel ", cancel.attempt->epoch(), " (",
                                     CauseName(cancel.cause), ")"));
  }
  if (effects_.drain_requested) happened_.push_back("drain");
  effects_ = SessionEffects();
}

std::string SessionHarness::Effects() {
  std::string text = absl::StrJoin(happened_, "; ");
  happened_.clear();
  return text;
}

}  // namespace apium
