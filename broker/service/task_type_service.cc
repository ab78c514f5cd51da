#include "broker/service/task_type_service.h"

#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/task_from_proto.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr uint32_t kMinAttemptsMax = 1'000'000;
constexpr absl::Duration kTimeMin = absl::Seconds(1);
constexpr absl::Duration kWindowMax = absl::Hours(1);
constexpr absl::Duration kOpenMax = absl::Hours(24);

// Fills the names of a command about one breaker.
template <typename Request, typename CommandType>
absl::Status NameBreaker(const Request& request, const char* field,
                         const std::string& type, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  APIUM_RETURN_IF_ERROR(ValidateTaskType(field, type));
  command->type = type;
  return absl::OkStatus();
}

absl::Status TakeDuration(const char* field,
                          const google::protobuf::Duration& proto,
                          absl::Duration max, absl::Duration* duration) {
  APIUM_ASSIGN_OR_RETURN(*duration, DurationFromProto(field, proto));
  if (*duration >= kTimeMin && *duration <= max) return absl::OkStatus();
  return InvalidField(
      field, StrCat("is ", absl::FormatDuration(*duration), "; must be in [",
                    absl::FormatDuration(kTimeMin), ", ",
                    absl::FormatDuration(max), "]"));
}

absl::Status TakeSettings(const v1::Breaker& proto, BreakerSettings* settings) {
  // Written so that NaN is refused.
  if (!(proto.failure_share() > 0 && proto.failure_share() <= 1)) {
    return InvalidField("breaker.failure_share",
                        StrCat("is ", proto.failure_share(),
                               "; must be in (0, 1], or 0 to remove the "
                               "breaker"));
  }
  settings->failure_share = proto.failure_share();
  if (proto.min_attempts() > kMinAttemptsMax) {
    return InvalidField("breaker.min_attempts",
                        StrCat("is ", proto.min_attempts(),
                               "; must be at most ", kMinAttemptsMax));
  }
  if (proto.min_attempts() != 0) settings->min_attempts = proto.min_attempts();
  if (proto.has_window()) {
    APIUM_RETURN_IF_ERROR(TakeDuration("breaker.window", proto.window(),
                                       kWindowMax, &settings->window));
  }
  if (proto.has_open_duration()) {
    APIUM_RETURN_IF_ERROR(TakeDuration("breaker.open_duration",
                                       proto.open_duration(), kOpenMax,
                                       &settings->open_duration));
  }
  return absl::OkStatus();
}

void BreakerToProto(const BreakerInfo& breaker, v1::Breaker* proto) {
  proto->set_type(breaker.type);
  proto->set_failure_share(breaker.settings.failure_share);
  proto->set_min_attempts(breaker.settings.min_attempts);
  DurationToProto(breaker.settings.window, proto->mutable_window());
  DurationToProto(breaker.settings.open_duration,
                  proto->mutable_open_duration());
  proto->set_state(static_cast<v1::BreakerState>(breaker.state));
  proto->set_attempts(breaker.attempts);
  proto->set_failures(breaker.failures);
  if (breaker.open_time != absl::InfinitePast()) {
    TimeToProto(breaker.open_time, proto->mutable_open_time());
  }
}

// Starts a call that is answered with a breaker.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartBreakerCall(const ServiceContext& context,
                                           CommandType&& command,
                                           Response* response) {
  return StartEngineCall<BreakerReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](BreakerReply&& reply) {
        if (reply.status.ok() && !reply.removed) {
          BreakerToProto(reply.breaker, response->mutable_breaker());
        }
        return reply.status;
      });
}

}  // namespace

grpc::ServerUnaryReactor* TaskTypeServiceImpl::SetBreaker(
    grpc::CallbackServerContext* rpc, const v1::SetBreakerRequest* request,
    v1::SetBreakerResponse* response) {
  SetBreakerCommand command;
  const v1::Breaker& breaker = request->breaker();
  absl::Status taken =
      NameBreaker(*request, "breaker.type", breaker.type(), &command);
  if (taken.ok() && breaker.failure_share() != 0) {
    taken = TakeSettings(breaker, &command.settings.emplace());
  }
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartBreakerCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* TaskTypeServiceImpl::GetBreaker(
    grpc::CallbackServerContext* rpc, const v1::GetBreakerRequest* request,
    v1::GetBreakerResponse* response) {
  GetBreakerCommand command;
  const absl::Status named =
      NameBreaker(*request, "type", request->type(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartBreakerCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* TaskTypeServiceImpl::ListBreakers(
    grpc::CallbackServerContext* rpc, const v1::ListBreakersRequest* request,
    v1::ListBreakersResponse* response) {
  ListBreakersCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  command.namespace_name = *std::move(namespace_name);
  return StartEngineCall<BreakersReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](BreakersReply&& reply) {
        for (const BreakerInfo& breaker : reply.breakers) {
          BreakerToProto(breaker, response->add_breakers());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* TaskTypeServiceImpl::ResetBreaker(
    grpc::CallbackServerContext* rpc, const v1::ResetBreakerRequest* request,
    v1::ResetBreakerResponse* response) {
  ResetBreakerCommand command;
  const absl::Status named =
      NameBreaker(*request, "type", request->type(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartBreakerCall(context_, std::move(command), response);
}

}  // namespace apium::broker
