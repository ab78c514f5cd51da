#include "broker/service/limit_service.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/field_checks.h"
#include "broker/service/task_from_proto.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr size_t kDescriptionBytesMax = 1024;
constexpr uint32_t kConcurrencyMax = 1'000'000;
constexpr double kPointsMax = 1'000'000;
constexpr absl::Duration kPeriodMin = absl::Milliseconds(1);
// Of a period, and of a pause.
constexpr absl::Duration kTimeMax = absl::Hours(24 * 366);
// In which a whole burst comes back: times beyond it are not stored exactly.
constexpr absl::Duration kRefillMax = absl::Hours(24 * 36525);
constexpr char kMaskFields[] =
    "description, type_pattern, queue_pattern, max_concurrency, rate, "
    "disabled, or * for all of them";

// Fills the names of a command about one limit.
absl::Status NameLimit(const std::string& namespace_name, const char* field,
                       const std::string& limit, std::string* namespace_out,
                       std::string* limit_out) {
  APIUM_ASSIGN_OR_RETURN(*namespace_out, NamespaceFromProto(namespace_name));
  APIUM_RETURN_IF_ERROR(ValidateQueueName(field, limit));
  *limit_out = limit;
  return absl::OkStatus();
}

absl::Status CheckUpTo(const char* field, absl::Duration duration,
                       absl::Duration min) {
  if (duration >= min && duration <= kTimeMax) return absl::OkStatus();
  return OutOfRange(field, absl::FormatDuration(duration),
                    StrCat("in [", absl::FormatDuration(min), ", 366 days]"));
}

// Comparisons are written so that NaN is refused.
absl::Status TakeRate(const v1::Rate& proto, Rate* rate) {
  if (!(proto.points() > 0 && proto.points() <= kPointsMax)) {
    return OutOfRange("limit.rate.points", StrCat(proto.points()),
                      StrCat("above 0 and at most ", kPointsMax));
  }
  rate->points = proto.points();
  APIUM_ASSIGN_OR_RETURN(
      rate->period, DurationFromProto("limit.rate.period", proto.period()));
  APIUM_RETURN_IF_ERROR(
      CheckUpTo("limit.rate.period", rate->period, kPeriodMin));
  rate->cost = proto.cost() == 0 ? 1 : proto.cost();
  if (!(rate->cost > 0) || std::isinf(rate->cost)) {
    return OutOfRange("limit.rate.cost", StrCat(proto.cost()),
                      "above 0, or 0 for 1");
  }
  rate->burst =
      proto.burst() == 0 ? std::max(rate->points, rate->cost) : proto.burst();
  if (!(rate->burst >= rate->cost)) {
    return OutOfRange("limit.rate.burst", StrCat(proto.burst()),
                      StrCat("at least the cost of a task, ", rate->cost));
  }
  if (!(rate->burst / rate->points * absl::ToDoubleSeconds(rate->period) <=
        absl::ToDoubleSeconds(kRefillMax))) {
    return OutOfRange("limit.rate.burst", StrCat(rate->burst),
                      "what comes back within 100 years");
  }
  return absl::OkStatus();
}

absl::Status CheckPattern(const char* field, const std::string& pattern) {
  return pattern.empty() ? absl::OkStatus() : CheckGlob(field, pattern);
}

absl::Status TakeSettings(const v1::Limit& proto, LimitSettings* settings) {
  APIUM_RETURN_IF_ERROR(CheckTextLength(
      "limit.description", proto.description(), kDescriptionBytesMax));
  settings->description = proto.description();
  APIUM_RETURN_IF_ERROR(
      CheckPattern("limit.type_pattern", proto.type_pattern()));
  settings->type_pattern = proto.type_pattern();
  APIUM_RETURN_IF_ERROR(
      CheckPattern("limit.queue_pattern", proto.queue_pattern()));
  settings->queue_pattern = proto.queue_pattern();
  if (proto.max_concurrency() > kConcurrencyMax) {
    return OutOfRange("limit.max_concurrency", StrCat(proto.max_concurrency()),
                      StrCat("at most ", kConcurrencyMax));
  }
  settings->max_concurrency = proto.max_concurrency();
  if (proto.has_rate()) {
    APIUM_RETURN_IF_ERROR(TakeRate(proto.rate(), &settings->rate.emplace()));
  }
  settings->disabled = proto.disabled();
  return absl::OkStatus();
}

absl::Status TakePartition(const v1::Limit& proto, Limit* limit) {
  if (!v1::LimitPartition_IsValid(proto.partition())) {
    return OutOfRange("limit.partition",
                      StrCat(static_cast<int>(proto.partition())),
                      "a value of LimitPartition");
  }
  if (proto.partition() != v1::LIMIT_PARTITION_UNSPECIFIED)
    limit->partition = static_cast<LimitPartition>(proto.partition());
  if (limit->partition == LimitPartition::kKey) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName("limit.key", proto.key()));
  } else if (!proto.key().empty()) {
    return InvalidField("limit.key",
                        "is set; only the partition KEY takes a key");
  }
  limit->key = proto.key();
  return absl::OkStatus();
}

absl::Status TakeNewLimit(const v1::CreateLimitRequest& request,
                          CreateLimitCommand* command) {
  const v1::Limit& proto = request.limit();
  APIUM_RETURN_IF_ERROR(NameLimit(request.namespace_(), "limit.name",
                                  proto.name(), &command->namespace_name,
                                  &command->limit.name));
  APIUM_RETURN_IF_ERROR(TakePartition(proto, &command->limit));
  LimitSettings& settings = command->limit.settings;
  APIUM_RETURN_IF_ERROR(TakeSettings(proto, &settings));
  if (settings.max_concurrency == 0 && !settings.rate.has_value()) {
    return InvalidField("limit.max_concurrency",
                        "is 0 and rate is unset; say one of them, or both");
  }
  return absl::OkStatus();
}

// Whether the mask may name `path`.
bool TakeField(const std::string& path, const LimitSettings& settings,
               UpdateLimitCommand* command) {
  const bool all = path == "*";
  const auto take = [&](const char* field, const auto& value, auto* out) {
    if (!all && path != field) return false;
    *out = value;
    return true;
  };
  bool taken = take("description", settings.description, &command->description);
  taken |= take("type_pattern", settings.type_pattern, &command->type_pattern);
  taken |=
      take("queue_pattern", settings.queue_pattern, &command->queue_pattern);
  taken |= take("max_concurrency", settings.max_concurrency,
                &command->max_concurrency);
  if (all || path == "rate") {
    command->rate.emplace(settings.rate);
    taken = true;
  }
  taken |= take("disabled", settings.disabled, &command->disabled);
  return taken;
}

absl::Status TakeUpdate(const v1::UpdateLimitRequest& request,
                        UpdateLimitCommand* command) {
  APIUM_RETURN_IF_ERROR(NameLimit(request.namespace_(), "limit.name",
                                  request.limit().name(),
                                  &command->namespace_name, &command->name));
  LimitSettings settings;
  APIUM_RETURN_IF_ERROR(TakeSettings(request.limit(), &settings));
  command->etag = request.limit().etag();
  if (request.update_mask().paths().empty()) {
    return InvalidField("update_mask",
                        StrCat("is empty; name what to change: ", kMaskFields));
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (TakeField(path, settings, command)) continue;
    return InvalidField("update_mask",
                        StrCat(QuoteForMessage(path),
                               " cannot be changed; it takes ", kMaskFields));
  }
  return absl::OkStatus();
}

// What a limit may count under: types, queues and keys.
absl::Status CheckUsageKey(const char* field, const std::string& key) {
  // A page token has a character more.
  if (key.size() <= kNameBytesMax + 1 && key.find('\0') == std::string::npos)
    return absl::OkStatus();
  return OutOfRange(
      field, StrCat(key.size(), " bytes"),
      StrCat("at most ", kNameBytesMax, " bytes without a zero byte"));
}

void LimitToProto(const Limit& limit, v1::Limit* proto) {
  const LimitSettings& settings = limit.settings;
  proto->set_name(limit.name);
  proto->set_description(settings.description);
  proto->set_type_pattern(settings.type_pattern);
  proto->set_queue_pattern(settings.queue_pattern);
  proto->set_partition(static_cast<v1::LimitPartition>(limit.partition));
  proto->set_key(limit.key);
  proto->set_max_concurrency(settings.max_concurrency);
  if (settings.rate.has_value()) {
    v1::Rate* rate = proto->mutable_rate();
    rate->set_points(settings.rate->points);
    DurationToProto(settings.rate->period, rate->mutable_period());
    rate->set_burst(settings.rate->burst);
    rate->set_cost(settings.rate->cost);
  }
  proto->set_disabled(settings.disabled);
  proto->set_etag(StrCat(limit.revision));
  TimeToProto(limit.create_time, proto->mutable_create_time());
}

void UsageToProto(const LimitUsage& usage, v1::LimitUsage* proto) {
  proto->set_key(usage.key);
  proto->set_running(usage.running);
  proto->set_points(usage.points);
  proto->set_waiting_lanes(usage.waiting_lanes);
  if (usage.pause_until != absl::InfinitePast())
    TimeToProto(usage.pause_until, proto->mutable_pause_until());
}

// Starts a call that is answered with a limit.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartLimitCall(const ServiceContext& context,
                                         CommandType&& command,
                                         Response* response) {
  return StartEngineCall<LimitReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](LimitReply&& reply) {
        if (reply.status.ok())
          LimitToProto(reply.limit, response->mutable_limit());
        return reply.status;
      });
}

}  // namespace

grpc::ServerUnaryReactor* LimitServiceImpl::CreateLimit(
    grpc::CallbackServerContext* rpc, const v1::CreateLimitRequest* request,
    v1::CreateLimitResponse* response) {
  CreateLimitCommand command;
  const absl::Status taken = TakeNewLimit(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartLimitCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* LimitServiceImpl::GetLimit(
    grpc::CallbackServerContext* rpc, const v1::GetLimitRequest* request,
    v1::GetLimitResponse* response) {
  GetLimitCommand command;
  const absl::Status named =
      NameLimit(request->namespace_(), "name", request->name(),
                &command.namespace_name, &command.name);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartLimitCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* LimitServiceImpl::ListLimits(
    grpc::CallbackServerContext* rpc, const v1::ListLimitsRequest* request,
    v1::ListLimitsResponse* response) {
  ListLimitsCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  if (!request->page_token().empty()) {
    const absl::Status valid =
        ValidateQueueName("page_token", request->page_token());
    if (!valid.ok()) return FinishNow(rpc, valid);
  }
  command.namespace_name = *std::move(namespace_name);
  command.page_size = PageSizeFor(request->page_size());
  command.page_token = request->page_token();
  return StartEngineCall<LimitPageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](LimitPageReply&& reply) {
        for (const Limit& limit : reply.limits)
          LimitToProto(limit, response->add_limits());
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* LimitServiceImpl::UpdateLimit(
    grpc::CallbackServerContext* rpc, const v1::UpdateLimitRequest* request,
    v1::UpdateLimitResponse* response) {
  UpdateLimitCommand command;
  const absl::Status taken = TakeUpdate(*request, &command);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartLimitCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* LimitServiceImpl::DeleteLimit(
    grpc::CallbackServerContext* rpc, const v1::DeleteLimitRequest* request,
    v1::DeleteLimitResponse*) {
  DeleteLimitCommand command;
  const absl::Status named =
      NameLimit(request->namespace_(), "name", request->name(),
                &command.namespace_name, &command.name);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

grpc::ServerUnaryReactor* LimitServiceImpl::ListLimitUsage(
    grpc::CallbackServerContext* rpc, const v1::ListLimitUsageRequest* request,
    v1::ListLimitUsageResponse* response) {
  ListLimitUsageCommand command;
  absl::Status taken =
      NameLimit(request->namespace_(), "limit", request->limit(),
                &command.namespace_name, &command.limit);
  if (taken.ok()) taken = CheckUsageKey("page_token", request->page_token());
  if (!taken.ok()) return FinishNow(rpc, taken);
  command.page_size = PageSizeFor(request->page_size());
  command.page_token = request->page_token();
  return StartEngineCall<LimitUsageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](LimitUsageReply&& reply) {
        for (const LimitUsage& usage : reply.usage)
          UsageToProto(usage, response->add_usage());
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* LimitServiceImpl::PauseLimitKey(
    grpc::CallbackServerContext* rpc, const v1::PauseLimitKeyRequest* request,
    v1::PauseLimitKeyResponse* response) {
  PauseLimitKeyCommand command;
  absl::Status taken =
      NameLimit(request->namespace_(), "limit", request->limit(),
                &command.namespace_name, &command.limit);
  if (taken.ok()) taken = CheckUsageKey("key", request->key());
  if (taken.ok()) {
    const absl::StatusOr<absl::Duration> duration =
        DurationFromProto("duration", request->duration());
    taken = duration.ok()
                ? CheckUpTo("duration", *duration, absl::ZeroDuration())
                : duration.status();
    if (taken.ok()) command.duration = *duration;
  }
  if (!taken.ok()) return FinishNow(rpc, taken);
  command.key = request->key();
  return StartEngineCall<LimitUsageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](LimitUsageReply&& reply) {
        if (reply.status.ok())
          UsageToProto(reply.usage.front(), response->mutable_usage());
        return reply.status;
      });
}

}  // namespace apium::broker
