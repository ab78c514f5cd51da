#include "broker/dispatch/worker_service.h"

#include <string>
#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/error_reason.h"

namespace apium::broker {

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
WorkerServiceImpl::Work(grpc::CallbackServerContext*) {
  return WorkerSession::Start(&context_, &terms_);
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ListWorkers(
    grpc::CallbackServerContext* rpc, const v1::ListWorkersRequest* request,
    v1::ListWorkersResponse* response) {
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  ListWorkersCommand command;
  command.namespace_name = *std::move(namespace_name);
  return StartEngineCall<WorkersReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [response](WorkersReply&& reply) {
        for (const WorkerInfo& worker : reply.workers) {
          WorkerToProto(worker, response->add_workers());
        }
        return reply.status;
      });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::DrainWorker(
    grpc::CallbackServerContext* rpc, const v1::DrainWorkerRequest* request,
    v1::DrainWorkerResponse*) {
  absl::StatusOr<std::string> namespace_name =
      NamespaceFromProto(request->namespace_());
  if (!namespace_name.ok()) return FinishNow(rpc, namespace_name.status());
  if (request->worker_id().empty()) {
    return FinishNow(rpc, InvalidField("worker_id", "is missing"));
  }
  DrainWorkerCommand command;
  command.namespace_name = *std::move(namespace_name);
  command.worker_id = request->worker_id();
  return StartEngineCall<StatusReply>(
      context_.mailbox, MailboxShare::kReserved, std::move(command), 0,
      [](StatusReply&& reply) { return reply.status; });
}

}  // namespace apium::broker
