#include "broker/service/queue_service.h"

#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/field_checks.h"
#include "broker/service/queue_settings_from_proto.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "broker/service/wait_reason_to_proto.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr size_t kPausedByBytesMax = 255;
constexpr size_t kPauseReasonBytesMax = 1024;

// Fills the names of a command about one queue.
template <typename CommandType>
absl::Status NameQueue(const std::string& namespace_name, const char* field,
                       const std::string& queue, CommandType* command) {
  APIUM_ASSIGN_OR_RETURN(command->namespace_name,
                         NamespaceFromProto(namespace_name));
  APIUM_RETURN_IF_ERROR(ValidateQueueName(field, queue));
  command->queue = queue;
  return absl::OkStatus();
}

// Starts a call that is answered with a queue.
template <typename CommandType, typename Response>
grpc::ServerUnaryReactor* StartQueueCall(const ServiceContext& context,
                                         CommandType&& command,
                                         Response* response) {
  return StartEngineCall<QueueReply>(
      context.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](QueueReply&& reply) {
        if (reply.status.ok()) {
          QueueToProto(reply.queue, response->mutable_queue());
        }
        return reply.status;
      });
}

}  // namespace

grpc::ServerUnaryReactor* QueueServiceImpl::CreateQueue(
    grpc::CallbackServerContext* rpc, const v1::CreateQueueRequest* request,
    v1::CreateQueueResponse* response) {
  CreateQueueCommand command;
  absl::Status status = NameQueue(request->namespace_(), "queue.name",
                                  request->queue().name(), &command);
  if (status.ok()) {
    v1::Queue queue = request->queue();
    status = SettingsFromProto(&queue, &command.settings);
  }
  if (!status.ok()) return FinishNow(rpc, status);
  return StartQueueCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* QueueServiceImpl::GetQueue(
    grpc::CallbackServerContext* rpc, const v1::GetQueueRequest* request,
    v1::GetQueueResponse* response) {
  GetQueueCommand command;
  const absl::Status named =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartQueueCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* QueueServiceImpl::ListQueues(
    grpc::CallbackServerContext* rpc, const v1::ListQueuesRequest* request,
    v1::ListQueuesResponse* response) {
  ListQueuesCommand command;
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
  return StartEngineCall<QueuePageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](QueuePageReply&& reply) {
        for (const QueueInfo& queue : reply.queues) {
          QueueToProto(queue, response->add_queues());
        }
        response->set_next_page_token(std::move(reply.next_page_token));
        return reply.status;
      });
}

grpc::ServerUnaryReactor* QueueServiceImpl::UpdateQueue(
    grpc::CallbackServerContext* rpc, const v1::UpdateQueueRequest* request,
    v1::UpdateQueueResponse* response) {
  UpdateQueueCommand command;
  absl::Status status = NameQueue(request->namespace_(), "queue.name",
                                  request->queue().name(), &command);
  if (status.ok()) {
    v1::UpdateQueueRequest update = *request;
    status = UpdateFromProto(&update, &command);
  }
  if (!status.ok()) return FinishNow(rpc, status);
  return StartQueueCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* QueueServiceImpl::DeleteQueue(
    grpc::CallbackServerContext* rpc, const v1::DeleteQueueRequest* request,
    v1::DeleteQueueResponse*) {
  DeleteQueueCommand command;
  const absl::Status named =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

grpc::ServerUnaryReactor* QueueServiceImpl::PauseQueue(
    grpc::CallbackServerContext* rpc, const v1::PauseQueueRequest* request,
    v1::PauseQueueResponse* response) {
  UpdateQueueCommand command;
  absl::Status status =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (status.ok()) {
    status =
        CheckTextLength("paused_by", request->paused_by(), kPausedByBytesMax);
  }
  if (status.ok()) {
    status = CheckTextLength("reason", request->reason(), kPauseReasonBytesMax);
  }
  if (!status.ok()) return FinishNow(rpc, status);
  command.paused = true;
  command.paused_by = request->paused_by();
  command.pause_reason = request->reason();
  return StartQueueCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* QueueServiceImpl::ResumeQueue(
    grpc::CallbackServerContext* rpc, const v1::ResumeQueueRequest* request,
    v1::ResumeQueueResponse* response) {
  UpdateQueueCommand command;
  const absl::Status named =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  command.paused = false;
  return StartQueueCall(context_, std::move(command), response);
}

grpc::ServerUnaryReactor* QueueServiceImpl::ExplainQueue(
    grpc::CallbackServerContext* rpc, const v1::ExplainQueueRequest* request,
    v1::ExplainQueueResponse* response) {
  ExplainQueueCommand command;
  const absl::Status named =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<ExplainReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](ExplainReply&& reply) {
        for (WaitReason& reason : reply.reasons) {
          WaitReasonToProto(std::move(reason), response->add_reasons());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* QueueServiceImpl::PurgeQueue(
    grpc::CallbackServerContext* rpc, const v1::PurgeQueueRequest* request,
    v1::PurgeQueueResponse* response) {
  PurgeQueueCommand command;
  const absl::Status named =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (!named.ok()) return FinishNow(rpc, named);
  return StartEngineCall<PurgeReply>(context_.mailbox, MailboxShare::kReserved,
                                     std::move(command), 0,
                                     [response](PurgeReply&& reply) {
                                       response->set_purged(reply.purged);
                                       return reply.status;
                                     });
}

}  // namespace apium::broker
