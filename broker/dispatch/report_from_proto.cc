#include "broker/dispatch/report_from_proto.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "apium/v1/worker_service.pb.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium::broker {
namespace {

constexpr size_t kWorkerIdBytesMax = 255;
constexpr size_t kDescriptionBytesMax = 255;
constexpr uint32_t kSubscriptionWeightMax = 1000;
// The label that names the worker in TaskSpec.required_labels.
constexpr std::string_view kWorkerIdLabel = "apium.worker_id";

// A piece of a report. Smaller than a turn of the shard, so that a turn's
// outcomes stay below the limit of one message to the result service.
constexpr uint32_t kPieceItemsMax = 1000;
constexpr size_t kPieceBytesMax = 1024 * 1024;

absl::Status OutOfRange(std::string_view field, std::string_view value,
                        std::string_view range) {
  return InvalidField(field, StrCat("is ", value, "; must be ", range));
}

absl::Status LeaseFromProto(const char* field, v1::Lease* proto,
                            LeaseName* lease) {
  if (proto->task_id().empty() || proto->task_id().size() > kTaskIdBytesMax) {
    return OutOfRange(StrCat(field, ".task_id"),
                      StrCat(proto->task_id().size(), " bytes"),
                      StrCat("1 to ", kTaskIdBytesMax, " bytes"));
  }
  if (proto->attempt() == 0) {
    return OutOfRange(StrCat(field, ".attempt"), "0", "that of the delivery");
  }
  if (proto->epoch() == 0) {
    return OutOfRange(StrCat(field, ".epoch"), "0", "that of the delivery");
  }
  lease->task_id = std::move(*proto->mutable_task_id());
  lease->attempt = proto->attempt();
  lease->epoch = proto->epoch();
  return absl::OkStatus();
}

absl::Status CheckWorkerId(const std::string& worker_id) {
  if (worker_id.empty() || worker_id.size() > kWorkerIdBytesMax) {
    return OutOfRange("hello.worker_id", StrCat(worker_id.size(), " bytes"),
                      StrCat("1 to ", kWorkerIdBytesMax, " bytes"));
  }
  for (const char c : worker_id) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return OutOfRange("hello.worker_id", QuoteForMessage(worker_id),
                        "without control characters");
    }
  }
  return absl::OkStatus();
}

absl::Status TakeSubscriptions(v1::Hello* hello, OpenSessionCommand* command) {
  if (hello->task_types().empty() ||
      static_cast<size_t>(hello->task_types_size()) > kWorkerTaskTypesMax) {
    return OutOfRange("hello.task_types",
                      StrCat(hello->task_types_size(), " long"),
                      StrCat("1 to ", kWorkerTaskTypesMax, " entries"));
  }
  for (v1::TaskTypeOffer& offer : *hello->mutable_task_types()) {
    APIUM_RETURN_IF_ERROR(
        ValidateTaskType("hello.task_types.type", offer.type()));
    command->task_types.push_back(std::move(*offer.mutable_type()));
  }
  if (static_cast<size_t>(hello->queues_size()) > kWorkerQueuesMax) {
    return OutOfRange("hello.queues", StrCat(hello->queues_size(), " long"),
                      StrCat("at most ", kWorkerQueuesMax, " entries"));
  }
  // Named twice is named once, with the last weight.
  std::map<std::string, uint32_t> weights;
  bool all_alike = true;
  for (v1::QueueSubscription& subscription : *hello->mutable_queues()) {
    APIUM_RETURN_IF_ERROR(
        ValidateQueueName("hello.queues.queue", subscription.queue()));
    if (subscription.weight() > kSubscriptionWeightMax) {
      return OutOfRange("hello.queues.weight", StrCat(subscription.weight()),
                        StrCat("in [0, ", kSubscriptionWeightMax, "]"));
    }
    const uint32_t weight = std::max(1u, subscription.weight());
    weights[std::move(*subscription.mutable_queue())] = weight;
    all_alike = all_alike && weight == 1;
  }
  if (weights.empty()) weights[std::string(kDefaultQueue)] = 1;
  for (const auto& [queue, weight] : weights) {
    command->queues.push_back(queue);
    if (!all_alike) command->queue_weights.push_back(weight);
  }
  return absl::OkStatus();
}

absl::Status TakeLabels(v1::Hello* hello, OpenSessionCommand* command) {
  if (hello->labels().size() > kLabelsMax) {
    return OutOfRange("hello.labels", StrCat(hello->labels().size(), " long"),
                      StrCat("at most ", kLabelsMax, " entries"));
  }
  for (auto& [name, value] : *hello->mutable_labels()) {
    APIUM_RETURN_IF_ERROR(ValidateLabelName("hello.labels", name));
    if (name == kWorkerIdLabel) {
      return InvalidField("hello.labels",
                          StrCat("has ", name,
                                 ", which every worker has by itself; leave "
                                 "it out"));
    }
    if (value.size() > kLabelValueBytesMax) {
      return OutOfRange("hello.labels", StrCat(value.size(), " bytes"),
                        StrCat("at most ", kLabelValueBytesMax, " bytes each"));
    }
    command->labels.emplace_back(name, std::move(value));
  }
  std::sort(command->labels.begin(), command->labels.end());
  return absl::OkStatus();
}

std::string CutDescription(std::string&& text) {
  return text.size() <= kDescriptionBytesMax
             ? std::move(text)
             : ToValidUtf8(text, kDescriptionBytesMax);
}

// A report on its way into commands of bounded size.
class Pieces {
 public:
  Pieces(const std::shared_ptr<WorkerSink>& sink,
         std::vector<QueuedCommand>* commands)
      : sink_(sink), commands_(commands) {
    piece_.sink = sink_;
  }

  // The command to add one more item of `bytes` to.
  WorkerReportCommand& For(size_t bytes) {
    if (items_ > 0 &&
        (items_ >= kPieceItemsMax || bytes_ + bytes > kPieceBytesMax)) {
      Close();
    }
    ++items_;
    bytes_ += bytes;
    return piece_;
  }

  WorkerReportCommand& last() { return piece_; }

  // Of all pieces: what a draining worker hands back does not wait.
  void SetDraining() {
    draining_ = true;
    piece_.draining = true;
  }

  void Close() {
    commands_->push_back(
        {std::move(piece_), std::max<uint32_t>(items_, 1), bytes_});
    piece_ = WorkerReportCommand{.sink = sink_, .draining = draining_};
    items_ = 0;
    bytes_ = 0;
  }

 private:
  const std::shared_ptr<WorkerSink>& sink_;
  std::vector<QueuedCommand>* const commands_;
  WorkerReportCommand piece_;
  bool draining_ = false;
  uint32_t items_ = 0;
  size_t bytes_ = 0;
};

absl::StatusOr<absl::Duration> DelayFromProto(
    const char* field, const google::protobuf::Duration& proto) {
  APIUM_ASSIGN_OR_RETURN(const absl::Duration delay,
                         DurationFromProto(field, proto));
  if (delay < absl::ZeroDuration() || delay > kEtaAheadMax) {
    return OutOfRange(field, absl::FormatDuration(delay), "in [0, 10 years]");
  }
  return delay;
}

absl::Status OutcomeBodyFromProto(const TaskLimits& limits,
                                  v1::ExecutionOutcome* proto,
                                  ExecutionReport* report,
                                  std::vector<uint64_t>* oversized_epochs) {
  using Kind = ExecutionReport::Kind;
  switch (proto->outcome_case()) {
    case v1::ExecutionOutcome::kResult: {
      const size_t bytes = proto->result().data().size();
      if (bytes > limits.payload_bytes_max) {
        report->kind = Kind::kFailed;
        report->failure = {
            .type = "apium.ResultTooLarge",
            .message = StrCat("the result has ", bytes, " bytes; the limit is ",
                              limits.payload_bytes_max,
                              "; keep larger data elsewhere and return a "
                              "reference"),
            .non_retryable = true};
        oversized_epochs->push_back(report->lease.epoch);
        return absl::OkStatus();
      }
      report->kind = Kind::kSucceeded;
      return PayloadFromProto("report.outcomes.result", proto->mutable_result(),
                              &report->result);
    }
    case v1::ExecutionOutcome::kFailure:
      report->kind = Kind::kFailed;
      report->failure = FailureFromProto(proto->mutable_failure());
      return absl::OkStatus();
    case v1::ExecutionOutcome::kCancelled:
      report->kind = Kind::kCancelled;
      report->reason =
          CutReason(std::move(*proto->mutable_cancelled()->mutable_reason()));
      return absl::OkStatus();
    case v1::ExecutionOutcome::kReturned:
      report->kind = Kind::kReturned;
      report->reason =
          CutReason(std::move(*proto->mutable_returned()->mutable_reason()));
      if (proto->returned().has_delay()) {
        APIUM_ASSIGN_OR_RETURN(report->return_delay,
                               DelayFromProto("report.outcomes.returned.delay",
                                              proto->returned().delay()));
      }
      if (proto->returned().throttled_limit().empty()) return absl::OkStatus();
      report->throttled_limit =
          std::move(*proto->mutable_returned()->mutable_throttled_limit());
      return ValidateQueueName("report.outcomes.returned.throttled_limit",
                               report->throttled_limit);
    case v1::ExecutionOutcome::kCrashed:
      report->kind = Kind::kCrashed;
      report->failure =
          FailureFromProto(proto->mutable_crashed()->mutable_failure());
      return absl::OkStatus();
    case v1::ExecutionOutcome::kRetry: {
      report->kind = Kind::kRetry;
      APIUM_ASSIGN_OR_RETURN(report->retry_delay,
                             DelayFromProto("report.outcomes.retry.delay",
                                            proto->retry().delay()));
      report->failure =
          FailureFromProto(proto->mutable_retry()->mutable_failure());
      return absl::OkStatus();
    }
    case v1::ExecutionOutcome::OUTCOME_NOT_SET:
      break;
  }
  return InvalidField("report.outcomes",
                      "says nothing; set result, failure, cancelled, returned, "
                      "retry or crashed");
}

absl::Status ProgressFromProto(v1::TaskProgress* proto,
                               ProgressReport* report) {
  APIUM_RETURN_IF_ERROR(LeaseFromProto("report.progress.lease",
                                       proto->mutable_lease(), &report->lease));
  v1::Progress& said = *proto->mutable_progress();
  std::string& state = *said.mutable_state();
  report->progress = {
      .completed = said.completed(),
      .total = said.total(),
      .message = CutReason(std::move(*said.mutable_message())),
      .state = state.size() <= kProgressStateBytesMax
                   ? std::move(state)
                   : ToValidUtf8(state, kProgressStateBytesMax)};
  if (!said.has_details()) return absl::OkStatus();
  const size_t bytes = said.details().data().size();
  if (bytes > kProgressDetailsBytesMax) {
    return OutOfRange("report.progress.progress.details",
                      StrCat(bytes, " bytes"),
                      StrCat("at most ", kProgressDetailsBytesMax, " bytes"));
  }
  auto details = std::make_shared<Payload>();
  APIUM_RETURN_IF_ERROR(PayloadFromProto("report.progress.progress.details",
                                         said.mutable_details(),
                                         details.get()));
  report->progress.details = std::move(details);
  return absl::OkStatus();
}

absl::Status ChunkFromProto(v1::AppendedChunk* proto, ChunkReport* report) {
  APIUM_RETURN_IF_ERROR(LeaseFromProto("report.chunks.lease",
                                       proto->mutable_lease(), &report->lease));
  if (proto->number() == 0) {
    return OutOfRange("report.chunks.number", "0", "1 for the first");
  }
  report->number = proto->number();
  return PayloadFromProto("report.chunks.payload", proto->mutable_payload(),
                          &report->payload);
}

absl::Status ChargeFromProto(v1::LimitCharge* proto, ChargeReport* report) {
  APIUM_RETURN_IF_ERROR(LeaseFromProto("report.charges.lease",
                                       proto->mutable_lease(), &report->lease));
  APIUM_RETURN_IF_ERROR(
      ValidateQueueName("report.charges.limit", proto->limit()));
  report->limit = std::move(*proto->mutable_limit());
  report->points = proto->points();
  if (std::isfinite(report->points)) return absl::OkStatus();
  return OutOfRange("report.charges.points", StrCat(report->points), "finite");
}

size_t OutcomeBytes(const v1::ExecutionOutcome& proto) {
  const auto bytes = [](const v1::Failure& failure) {
    return failure.message().size() + failure.stack().size();
  };
  return sizeof(ExecutionReport) + proto.result().data().size() +
         bytes(proto.failure()) + bytes(proto.retry().failure()) +
         bytes(proto.crashed().failure());
}

}  // namespace

absl::Status OpenSessionFromProto(uint32_t max_credit, v1::Hello* hello,
                                  OpenSessionCommand* command) {
  if (hello->namespace_().empty()) {
    command->namespace_name = kDefaultNamespace;
  } else {
    APIUM_RETURN_IF_ERROR(
        ValidateNamespace("hello.namespace", hello->namespace_()));
    command->namespace_name = std::move(*hello->mutable_namespace_());
  }
  APIUM_RETURN_IF_ERROR(CheckWorkerId(hello->worker_id()));
  command->worker_id = std::move(*hello->mutable_worker_id());
  if (!hello->session_id().empty()) {
    APIUM_RETURN_IF_ERROR(
        ValidateTaskId("hello.session_id", hello->session_id()));
    command->session_id = std::move(*hello->mutable_session_id());
  }
  if (static_cast<uint32_t>(hello->held_leases_size()) > max_credit) {
    return OutOfRange("hello.held_leases",
                      StrCat(hello->held_leases_size(), " long"),
                      StrCat("at most ", max_credit, " entries"));
  }
  command->held_leases.resize(hello->held_leases_size());
  for (int i = 0; i < hello->held_leases_size(); ++i) {
    APIUM_RETURN_IF_ERROR(LeaseFromProto("hello.held_leases",
                                         hello->mutable_held_leases(i),
                                         &command->held_leases[i]));
  }
  APIUM_RETURN_IF_ERROR(TakeSubscriptions(hello, command));
  APIUM_RETURN_IF_ERROR(TakeLabels(hello, command));
  if (hello->slots() == 0 || hello->slots() > kSlotsMax) {
    return OutOfRange("hello.slots", StrCat(hello->slots()),
                      StrCat("in [1, ", kSlotsMax, "]"));
  }
  command->slots = hello->slots();
  command->version = CutDescription(std::move(*hello->mutable_version()));
  command->hostname = CutDescription(std::move(*hello->mutable_hostname()));
  return absl::OkStatus();
}

absl::Status ReportFromProto(const TaskLimits& limits, uint32_t max_credit,
                             const std::shared_ptr<WorkerSink>& sink,
                             v1::WorkerReport* report,
                             std::vector<QueuedCommand>* commands,
                             std::vector<uint64_t>* oversized_epochs) {
  if (report->credit() > max_credit) {
    return OutOfRange(
        "report.credit", StrCat(report->credit()),
        StrCat("at most ", max_credit, " together with what is outstanding"));
  }
  Pieces pieces(sink, commands);
  if (report->draining()) pieces.SetDraining();
  for (v1::TaskStarted& proto : *report->mutable_started()) {
    StartedReport& started =
        pieces.For(sizeof(StartedReport)).started.emplace_back();
    APIUM_RETURN_IF_ERROR(LeaseFromProto(
        "report.started.lease", proto.mutable_lease(), &started.lease));
    APIUM_ASSIGN_OR_RETURN(
        started.start_time,
        TimeFromProto("report.started.start_time", proto.start_time()));
  }
  for (v1::TaskProgress& proto : *report->mutable_progress()) {
    const size_t bytes = sizeof(ProgressReport) +
                         proto.progress().message().size() +
                         proto.progress().details().data().size();
    APIUM_RETURN_IF_ERROR(
        ProgressFromProto(&proto, &pieces.For(bytes).progress.emplace_back()));
  }
  for (v1::AppendedChunk& proto : *report->mutable_chunks()) {
    const size_t bytes = sizeof(ChunkReport) + proto.payload().data().size();
    APIUM_RETURN_IF_ERROR(
        ChunkFromProto(&proto, &pieces.For(bytes).chunks.emplace_back()));
  }
  for (v1::LimitCharge& proto : *report->mutable_charges()) {
    APIUM_RETURN_IF_ERROR(ChargeFromProto(
        &proto, &pieces.For(sizeof(ChargeReport)).charges.emplace_back()));
  }
  for (v1::ExecutionOutcome& proto : *report->mutable_outcomes()) {
    ExecutionReport& outcome =
        pieces.For(OutcomeBytes(proto)).outcomes.emplace_back();
    APIUM_RETURN_IF_ERROR(LeaseFromProto(
        "report.outcomes.lease", proto.mutable_lease(), &outcome.lease));
    if (proto.has_start_time()) {
      APIUM_ASSIGN_OR_RETURN(
          outcome.start_time,
          TimeFromProto("report.outcomes.start_time", proto.start_time()));
    }
    APIUM_RETURN_IF_ERROR(
        OutcomeBodyFromProto(limits, &proto, &outcome, oversized_epochs));
  }
  // Behind the outcomes, which free what the new credit counts on.
  pieces.last().credit = report->credit();
  pieces.Close();
  return absl::OkStatus();
}

}  // namespace apium::broker
