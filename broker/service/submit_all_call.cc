#include "broker/service/submit_all_call.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/service/spec_fingerprint.h"
#include "broker/service/task_from_proto.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// The part of a spec that the engine's refusal is about; empty: the whole.
std::string_view FieldOf(const absl::Status& refusal) {
  const std::string reason = ReasonOf(refusal);
  if (reason == reason::kQueueNotFound || reason == "QUEUE_PAUSED_FOR_SUBMIT") {
    return ".queue";
  }
  if (reason == reason::kBatchNotFound || reason == "BATCH_CLOSED") {
    return ".batch_id";
  }
  if (reason == reason::kTaskIdReused) return ".task_id";
  if (reason == "EXCHANGE_NOT_FOUND" || reason == "UNROUTABLE") {
    return ".exchange";
  }
  if (reason == reason::kUniqueKeyHeld) return ".unique.key";
  return "";
}

std::string ItemName(size_t item) { return StrCat("specs[", item, "]"); }

// The refusal of one task as that of the call.
absl::Status ForItem(const absl::Status& refusal, size_t item) {
  const std::string field = StrCat(ItemName(item), FieldOf(refusal));
  const std::string message(StdView(refusal.message()));
  absl::Status status(refusal.code(), AbslView(StrCat(field, ": ", message)));
  refusal.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    status.SetPayload(url, payload);
  });
  return WithFieldViolation(std::move(status), field, message);
}

absl::Status Answer(SubmitAllReply&& reply, v1::SubmitTasksResponse* response) {
  if (!reply.status.ok()) {
    return reply.failed.has_value() ? ForItem(reply.status, *reply.failed)
                                    : reply.status;
  }
  for (SubmitReply& task : reply.tasks) {
    v1::SubmitTasksResult* result = response->add_results();
    result->set_task_id(std::move(task.task_id));
    result->set_attached(task.attached);
    for (std::string& id : task.copy_task_ids) {
      result->add_copy_task_ids(std::move(id));
    }
  }
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* StartSubmitAll(grpc::CallbackServerContext* rpc,
                                         const ServiceContext& context,
                                         const std::string& namespace_name,
                                         v1::SubmitTasksRequest* request,
                                         v1::SubmitTasksResponse* response) {
  const absl::Time now = context.clock->Now();
  SubmitAllCommand command;
  if (!request->request_id().empty()) {
    const absl::Status valid =
        ValidateIdempotencyKey("request_id", request->request_id());
    if (!valid.ok()) return FinishNow(rpc, valid);
    command.request = std::make_shared<RequestIdentity>(
        RequestIdentity{.id = request->request_id(),
                        .fingerprint = RequestFingerprint(*request)});
  }
  command.tasks.resize(request->specs_size());
  size_t bytes = 0;
  for (int i = 0; i < request->specs_size(); ++i) {
    SubmitCommand& task = command.tasks[i];
    const absl::Status valid = SubmitFromProto(
        context.limits, namespace_name, now, request->mutable_specs(i), &task);
    if (!valid.ok()) {
      return FinishNow(rpc, WithFieldRoot(valid, "spec", ItemName(i)));
    }
    bytes += ContentBytes(*task.content);
  }
  auto call = std::make_shared<EngineCall<SubmitAllReply>>(
      [response](SubmitAllReply&& reply) {
        return Answer(std::move(reply), response);
      });
  call->HoldUntilDone();
  grpc::ServerUnaryReactor* const reactor = call.get();
  command.reply = {call, 0};
  std::vector<QueuedCommand> queued;
  const auto items = static_cast<uint32_t>(command.tasks.size());
  queued.push_back({std::move(command), items, bytes});
  const absl::Status pushed =
      context.mailbox->PushAll(&queued, MailboxShare::kOrdinary);
  if (!pushed.ok() && call->Claim()) call->Finish(ToGrpcStatus(pushed));
  return reactor;
}

}  // namespace apium::broker
