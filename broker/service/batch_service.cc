#include "broker/service/batch_service.h"

#include <memory>
#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/spec_fingerprint.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/fingerprint.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr size_t kDescriptionBytesMax = 1024;

// Checks one callback and takes its strings.
absl::Status TakeCallback(const ServiceContext& context,
                          const std::string& namespace_name, const char* field,
                          v1::TaskSpec* spec, BatchCallback* callback) {
  const auto refuse = [&](const char* part) {
    return InvalidField(StrCat(field, ".", part),
                        "is not for a callback of a batch; leave it unset");
  };
  if (!spec->task_id().empty()) return refuse("task_id");
  if (!spec->batch_id().empty()) return refuse("batch_id");
  if (spec->has_unique()) return refuse("unique");
  if (!spec->exchange().empty()) return refuse("exchange");
  SubmitCommand submit;
  const absl::Status taken = SubmitFromProto(
      context.limits, namespace_name, context.clock->Now(), spec, &submit);
  APIUM_RETURN_IF_ERROR(WithFieldRoot(taken, "spec", field));
  *callback = {.content = std::move(submit.content),
               .delay = submit.delay,
               .expire_after = submit.expire_after};
  return absl::OkStatus();
}

absl::Status TakeBatch(const ServiceContext& context, v1::Batch* batch,
                       CreateBatchCommand* command, size_t* bytes) {
  if (!batch->batch_id().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("batch.batch_id", batch->batch_id()));
  }
  if (batch->description().size() > kDescriptionBytesMax) {
    return InvalidField(
        "batch.description",
        StrCat("is ", batch->description().size(), " bytes; must be at most ",
               kDescriptionBytesMax));
  }
  FingerprintBuilder fingerprint;
  fingerprint.AddBytes(batch->description());
  auto callbacks = std::make_shared<BatchCallbacks>();
  const auto take = [&](BatchEvent event, const char* field,
                        bool (v1::Batch::*has)() const,
                        v1::TaskSpec* (v1::Batch::*mutable_spec)()) {
    const bool wanted = (batch->*has)();
    fingerprint.AddBool(wanted);
    if (!wanted) return absl::OkStatus();
    v1::TaskSpec* spec = (batch->*mutable_spec)();
    const Fingerprint of_spec = SpecFingerprint(*spec);
    fingerprint.AddUint64(of_spec.high).AddUint64(of_spec.low);
    BatchCallback& callback = (*callbacks)[event];
    APIUM_RETURN_IF_ERROR(
        TakeCallback(context, command->namespace_name, field, spec, &callback));
    *bytes += ContentBytes(*callback.content);
    return absl::OkStatus();
  };
  APIUM_RETURN_IF_ERROR(take(BatchEvent::kSuccess, "batch.on_success",
                             &v1::Batch::has_on_success,
                             &v1::Batch::mutable_on_success));
  APIUM_RETURN_IF_ERROR(take(BatchEvent::kComplete, "batch.on_complete",
                             &v1::Batch::has_on_complete,
                             &v1::Batch::mutable_on_complete));
  APIUM_RETURN_IF_ERROR(take(
      BatchEvent::kFirstFailure, "batch.on_first_failure",
      &v1::Batch::has_on_first_failure, &v1::Batch::mutable_on_first_failure));
  command->batch_id = std::move(*batch->mutable_batch_id());
  command->description = std::move(*batch->mutable_description());
  command->callbacks = std::move(callbacks);
  command->fingerprint = fingerprint.Finish();
  return absl::OkStatus();
}

void CallbackToProto(const BatchInfo& batch, BatchEvent event,
                     v1::TaskSpec* (v1::Batch::*mutable_spec)(),
                     v1::Batch* proto) {
  const BatchCallback& callback = (*batch.callbacks)[event];
  if (callback.content == nullptr) return;
  v1::TaskSpec* spec = (proto->*mutable_spec)();
  SpecToProto(*callback.content, View::kFull, spec);
  (*spec->mutable_headers())[std::string(kBatchIdHeader)] = batch.batch_id;
  if (callback.delay.has_value()) {
    DurationToProto(*callback.delay, spec->mutable_delay());
  }
  if (callback.expire_after.has_value()) {
    DurationToProto(*callback.expire_after, spec->mutable_expire_after());
  }
}

void BatchToProto(const BatchInfo& batch, v1::Batch* proto) {
  proto->set_batch_id(batch.batch_id);
  proto->set_description(batch.description);
  if (batch.callbacks != nullptr) {
    CallbackToProto(batch, BatchEvent::kSuccess, &v1::Batch::mutable_on_success,
                    proto);
    CallbackToProto(batch, BatchEvent::kComplete,
                    &v1::Batch::mutable_on_complete, proto);
    CallbackToProto(batch, BatchEvent::kFirstFailure,
                    &v1::Batch::mutable_on_first_failure, proto);
  }
  proto->set_state(static_cast<v1::BatchState>(batch.state));
  proto->set_members(batch.members);
  proto->set_pending(batch.pending);
  proto->set_succeeded(batch.succeeded);
  proto->set_unsuccessful(batch.unsuccessful);
  TimeToProto(batch.create_time, proto->mutable_create_time());
  if (batch.complete_time != absl::InfiniteFuture()) {
    TimeToProto(batch.complete_time, proto->mutable_complete_time());
  }
  const auto& ids = batch.callback_task_ids;
  proto->set_success_task_id(ids[BatchEvent::kSuccess]);
  proto->set_complete_task_id(ids[BatchEvent::kComplete]);
  proto->set_first_failure_task_id(ids[BatchEvent::kFirstFailure]);
}

// Fills the names of a command about one batch.
template <typename Request, typename CommandType>
absl::Status NameBatch(const Request& request, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(request.namespace_()));
  APIUM_RETURN_IF_ERROR(ValidateTaskId("batch_id", request.batch_id()));
  command->batch_id = request.batch_id();
  return absl::OkStatus();
}

// Starts a call that is answered with a batch.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartBatchCall(const ServiceContext& context,
                                         MailboxShare share,
                                         CommandType&& command, size_t bytes,
                                         Response* response) {
  return StartEngineCall<BatchReply>(
      context.mailbox, share, std::move(command), bytes,
      [response](BatchReply&& reply) {
        if (reply.status.ok()) {
          BatchToProto(reply.batch, response->mutable_batch());
        }
        return reply.status;
      });
}

}  // namespace

grpc::ServerUnaryReactor* BatchServiceImpl::CreateBatch(
    grpc::CallbackServerContext* rpc, const v1::CreateBatchRequest* request,
    v1::CreateBatchResponse* response) {
  CreateBatchCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  command.namespace_name = *std::move(namespace_name);
  size_t bytes = 0;
  // As TaskServiceImpl: the request is this call's own.
  v1::Batch* batch =
      const_cast<v1::CreateBatchRequest*>(request)->mutable_batch();
  const absl::Status taken = TakeBatch(context_, batch, &command, &bytes);
  if (!taken.ok()) return FinishNow(rpc, taken);
  return StartBatchCall(context_, MailboxShare::kOrdinary, std::move(command),
                        bytes, response);
}

grpc::ServerUnaryReactor* BatchServiceImpl::CloseBatch(
    grpc::CallbackServerContext* rpc, const v1::CloseBatchRequest* request,
    v1::CloseBatchResponse* response) {
  CloseBatchCommand command;
  const absl::Status named = NameBatch(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartBatchCall(context_, MailboxShare::kReserved, std::move(command),
                        0, response);
}

grpc::ServerUnaryReactor* BatchServiceImpl::GetBatch(
    grpc::CallbackServerContext* rpc, const v1::GetBatchRequest* request,
    v1::GetBatchResponse* response) {
  GetBatchCommand command;
  const absl::Status named = NameBatch(*request, &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartBatchCall(context_, MailboxShare::kOrdinary, std::move(command),
                        0, response);
}

grpc::ServerUnaryReactor* BatchServiceImpl::ListBatches(
    grpc::CallbackServerContext* rpc, const v1::ListBatchesRequest* request,
    v1::ListBatchesResponse* response) {
  ListBatchesCommand command;
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  if (!request->page_token().empty()) {
    const absl::Status valid =
        ValidateTaskId("page_token", request->page_token());
    if (!valid.ok()) return FinishNow(rpc, valid);
  }
  command.namespace_name = *std::move(namespace_name);
  command.page_size = PageSizeFor(request->page_size());
  command.page_token = request->page_token();
  return StartEngineCall<BatchPageReply>(
      context_.mailbox, MailboxShare::kOrdinary, std::move(command), 0,
      [response](BatchPageReply&& reply) {
        for (const BatchInfo& batch : reply.batches) {
          BatchToProto(batch, response->add_batches());
        }
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

}  // namespace apium::broker
