#include "broker/service/dead_letter_service.h"

#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr double kRedriveRateMax = 1'000'000;

// Fills the names of a command about the dead letters of a queue.
template <typename Request, typename CommandType>
absl::Status NameQueue(const Request& request, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  if (request.queue().empty()) {
    command->queue = std::string(kDefaultQueue);
    return absl::OkStatus();
  }
  APIUM_RETURN_IF_ERROR(ValidateQueueName("queue", request.queue()));
  command->queue = request.queue();
  return absl::OkStatus();
}

template <typename Request, typename CommandType>
absl::Status NameLetter(const Request& request, CommandType* command) {
  APIUM_RETURN_IF_ERROR(NameQueue(request, command));
  APIUM_RETURN_IF_ERROR(CheckTaskId(request.task_id()));
  command->task_id = request.task_id();
  return absl::OkStatus();
}

absl::Status TakeFilter(const v1::DeadLetterFilter& proto,
                        DeadLetterFilter* filter) {
  if (!proto.type().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("filter.type", proto.type()));
    filter->type = proto.type();
  }
  filter->failure_type = proto.failure_type();
  if (proto.has_dead_after()) {
    APIUM_ASSIGN_OR_RETURN(
        filter->dead_after,
        TimeFromProto("filter.dead_after", proto.dead_after()));
  }
  if (proto.has_dead_before()) {
    APIUM_ASSIGN_OR_RETURN(
        filter->dead_before,
        TimeFromProto("filter.dead_before", proto.dead_before()));
  }
  return absl::OkStatus();
}

void FilterToProto(const DeadLetterFilter& filter,
                   v1::DeadLetterFilter* proto) {
  proto->set_type(filter.type);
  proto->set_failure_type(filter.failure_type);
  if (filter.dead_after != absl::InfinitePast()) {
    TimeToProto(filter.dead_after, proto->mutable_dead_after());
  }
  if (filter.dead_before != absl::InfiniteFuture()) {
    TimeToProto(filter.dead_before, proto->mutable_dead_before());
  }
}

void DeadLetterToProto(const DeadLetter& letter, View view,
                       v1::DeadLetter* proto) {
  v1::TaskOutcome outcome;
  OutcomeToProto(*letter.outcome, View::kBasic, &outcome);
  proto->set_task_id(letter.content->task_id);
  SpecToProto(*letter.content, view, proto->mutable_spec());
  proto->mutable_dead_time()->Swap(outcome.mutable_finish_time());
  proto->mutable_create_time()->Swap(outcome.mutable_create_time());
  if (outcome.has_failure()) {
    proto->mutable_failure()->Swap(outcome.mutable_failure());
  }
  proto->set_attempt(outcome.attempt());
  proto->set_failures(outcome.failures());
  proto->set_crashes(outcome.crashes());
  proto->set_returns(outcome.returns());
  if (view == View::kFull) {
    proto->mutable_history()->Swap(outcome.mutable_events());
  }
}

void RedriveToProto(const Redrive& redrive, v1::Redrive* proto) {
  proto->set_queue(redrive.queue);
  FilterToProto(redrive.filter, proto->mutable_filter());
  proto->set_max_per_second(redrive.max_per_second);
  proto->set_target_queue(redrive.target_queue);
  proto->set_dry_run(redrive.dry_run);
  proto->set_state(static_cast<v1::RedriveState>(redrive.state));
  proto->set_matched(redrive.matched);
  proto->set_redriven(redrive.redriven);
  proto->set_refused(redrive.refused);
  proto->set_last_refusal(redrive.last_refusal);
  TimeToProto(redrive.start_time, proto->mutable_start_time());
  if (redrive.end_time != absl::InfiniteFuture()) {
    TimeToProto(redrive.end_time, proto->mutable_end_time());
  }
}

// What is to be different in the new task. Checked as a submit is: by a spec of
// nothing but the changes.
absl::Status TakeEdits(const ServiceContext& context,
                       v1::RedriveDeadLetterRequest* request,
                       RedriveDeadLetterCommand* command, size_t* bytes) {
  if (!request->type().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("type", request->type()));
    command->type = request->type();
  }
  if (!request->target_queue().empty()) {
    APIUM_RETURN_IF_ERROR(
        ValidateQueueName("target_queue", request->target_queue()));
    command->target_queue = request->target_queue();
  }
  v1::TaskSpec spec;
  spec.set_type("any");
  if (request->has_payload()) {
    spec.mutable_payload()->Swap(request->mutable_payload());
  }
  if (request->has_priority()) spec.set_priority(request->priority());
  if (request->has_retry_policy()) {
    spec.mutable_retry_policy()->Swap(request->mutable_retry_policy());
  }
  SubmitCommand submit;
  absl::Status taken = SubmitFromProto(context.limits, command->namespace_name,
                                       context.clock->Now(), &spec, &submit);
  for (const char* field : {"payload", "priority", "retry_policy"}) {
    taken = WithFieldRoot(taken, StrCat("spec.", field), field);
  }
  APIUM_RETURN_IF_ERROR(taken);
  *bytes = ContentBytes(*submit.content);
  if (request->has_payload()) {
    command->payload = std::move(submit.content->payload);
  }
  if (request->has_priority()) command->priority = submit.content->priority;
  if (request->has_retry_policy()) {
    command->retry_policy = std::move(submit.content->retry_policy);
  }
  return absl::OkStatus();
}

absl::Status TakeRedrive(const v1::StartRedriveRequest& request,
                         StartRedriveCommand* command) {
  APIUM_RETURN_IF_ERROR(NameQueue(request, command));
  APIUM_RETURN_IF_ERROR(TakeFilter(request.filter(), &command->filter));
  // Written so that NaN is refused.
  if (!(request.max_per_second() >= 0 &&
        request.max_per_second() <= kRedriveRateMax)) {
    return InvalidField("max_per_second",
                        StrCat("is ", request.max_per_second(),
                               "; must be in [0, ", kRedriveRateMax, "]"));
  }
  command->max_per_second = request.max_per_second();
  if (!request.target_queue().empty()) {
    APIUM_RETURN_IF_ERROR(
        ValidateQueueName("target_queue", request.target_queue()));
    command->target_queue = request.target_queue();
  }
  command->dry_run = request.dry_run();
  return absl::OkStatus();
}

// Starts a call that is answered with a redrive.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartRedriveCall(const ServiceContext& context,
                                           CommandType&& command,
                                           Response* response) {
  return StartEngineCall<RedriveReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](RedriveReply&& reply) {
        if (reply.status.ok()) {
          RedriveToProto(reply.redrive, response->mutable_redrive());
        }
        return reply.status;
      });
}

}  // namespace

grpc::ServerUnaryReactor* DeadLetterServiceImpl::ListDeadLetters(
    grpc::CallbackServerContext* rpc, const v1::ListDeadLettersRequest* request,
    v1::ListDeadLettersResponse* response) {
  ListDeadLettersCommand command;
  absl::Status taken = NameQueue(*request, &command);
  if (taken.ok()) taken = TakeFilter(request->filter(), &command.filter);
  if (taken.ok() && !request->page_token().empty()) {
    taken = ValidateTaskId("page_token", request->page_token());
  }
  if (!taken.ok()) return FinishNow(rpc, taken);
  command.page_size = PageSizeFor(request->page_size());
  command.page_token = request->page_token();
  return StartEngineCall<DeadLetterPageReply>(
      context_.mailbox, MailboxShare::kOrdinary, std::move(command), 0,
      [response](DeadLetterPageReply&& reply) {
        for (const auto& letter : reply.dead_letters) {
          DeadLetterToProto(*letter, View::kBasic,
                            response->add_dead_letters());
        }
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::GetDeadLetter(
    grpc::CallbackServerContext* rpc, const v1::GetDeadLetterRequest* request,
    v1::GetDeadLetterResponse* response) {
  GetDeadLetterCommand command;
  const absl::Status named = NameLetter(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<DeadLetterReply>(
      context_.mailbox, MailboxShare::kOrdinary, std::move(command), 0,
      [response](DeadLetterReply&& reply) {
        if (reply.status.ok()) {
          DeadLetterToProto(*reply.dead_letter, View::kFull,
                            response->mutable_dead_letter());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::RedriveDeadLetter(
    grpc::CallbackServerContext* rpc,
    const v1::RedriveDeadLetterRequest* request,
    v1::RedriveDeadLetterResponse* response) {
  RedriveDeadLetterCommand command;
  size_t bytes = 0;
  absl::Status taken = NameLetter(*request, &command);
  if (taken.ok()) {
    // As TaskServiceImpl: the request is this call's own.
    taken =
        TakeEdits(context_, const_cast<v1::RedriveDeadLetterRequest*>(request),
                  &command, &bytes);
  }
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartEngineCall<SubmitReply>(
      context_.mailbox, MailboxShare::kOrdinary, std::move(command), bytes,
      [response](SubmitReply&& reply) {
        response->set_task_id(std::move(reply.task_id));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::DiscardDeadLetter(
    grpc::CallbackServerContext* rpc,
    const v1::DiscardDeadLetterRequest* request,
    v1::DiscardDeadLetterResponse*) {
  DiscardDeadLetterCommand command;
  const absl::Status named = NameLetter(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::PurgeDeadLetters(
    grpc::CallbackServerContext* rpc,
    const v1::PurgeDeadLettersRequest* request,
    v1::PurgeDeadLettersResponse* response) {
  PurgeDeadLettersCommand command;
  const absl::Status named = NameQueue(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<PurgeReply>(context_.mailbox, MailboxShare::kReserved,
                                     std::move(command), 0,
                                     [response](PurgeReply&& reply) {
                                       response->set_purged(reply.purged);
                                       return reply.status;
                                     });
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::StartRedrive(
    grpc::CallbackServerContext* rpc, const v1::StartRedriveRequest* request,
    v1::StartRedriveResponse* response) {
  StartRedriveCommand command;
  const absl::Status taken = TakeRedrive(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartRedriveCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::GetRedrive(
    grpc::CallbackServerContext* rpc, const v1::GetRedriveRequest* request,
    v1::GetRedriveResponse* response) {
  GetRedriveCommand command;
  const absl::Status named = NameQueue(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartRedriveCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* DeadLetterServiceImpl::CancelRedrive(
    grpc::CallbackServerContext* rpc, const v1::CancelRedriveRequest* request,
    v1::CancelRedriveResponse* response) {
  CancelRedriveCommand command;
  const absl::Status named = NameQueue(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartRedriveCall(context_, std::move(command), response);
}

}  // namespace apium::broker
