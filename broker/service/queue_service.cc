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
constexpr uint32_t kPeekDefault = 10;
constexpr uint32_t kPeekMax = 100;
// gRPC's default receive limit is 4 MiB; a task may have a payload of 1 MiB.
constexpr size_t kPeekBytesMax = 2 * 1024 * 1024;

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

grpc::ServerUnaryReactor* QueueServiceImpl::PeekQueue(
    grpc::CallbackServerContext* rpc, const v1::PeekQueueRequest* request,
    v1::PeekQueueResponse* response) {
  PeekQueueCommand command;
  absl::Status status =
      NameQueue(request->namespace_(), "name", request->name(), &command);
  if (status.ok() && request->max_tasks() > kPeekMax) {
    status = OutOfRange("max_tasks", StrCat(request->max_tasks()),
                        StrCat("in [0, ", kPeekMax, "]"));
  }
  if (status.ok() && !v1::TaskView_IsValid(request->view())) {
    status = OutOfRange("view", StrCat(static_cast<int>(request->view())),
                        "a value of TaskView");
  }
  if (!status.ok()) return FinishNow(rpc, status);
  command.max_tasks =
      request->max_tasks() == 0 ? kPeekDefault : request->max_tasks();
  const View view =
      request->view() == v1::TASK_VIEW_FULL ? View::kFull : View::kBasic;
  return StartEngineCall<TaskPageReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response, view](TaskPageReply&& reply) {
        size_t bytes = 0;
        for (const TaskSnapshot& task : reply.tasks) {
          v1::Task* const added = response->add_tasks();
          SnapshotToProto(task, view, added);
          bytes += added->ByteSizeLong();
          if (bytes <= kPeekBytesMax || response->tasks_size() == 1) continue;
          response->mutable_tasks()->RemoveLast();
          break;
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* QueueServiceImpl::ReleaseOrderingKey(
    grpc::CallbackServerContext* rpc,
    const v1::ReleaseOrderingKeyRequest* request,
    v1::ReleaseOrderingKeyResponse*) {
  ReleaseOrderingKeyCommand command;
  absl::Status status =
      NameQueue(request->namespace_(), "queue", request->queue(), &command);
  if (status.ok() && request->ordering_key().empty()) {
    status = InvalidField("ordering_key", "is required");
  }
  if (status.ok()) status = CheckKey("ordering_key", request->ordering_key());
  if (!status.ok()) return FinishNow(rpc, status);
  command.ordering_key = request->ordering_key();
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

}  // namespace apium::broker
