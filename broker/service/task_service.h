#ifndef APIUM_BROKER_SERVICE_TASK_SERVICE_H_
#define APIUM_BROKER_SERVICE_TASK_SERVICE_H_

#include <grpcpp/support/byte_buffer.h>

#include "apium/v1/task_service.grpc.pb.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// Those that control tasks.
using TaskControlMethods = v1::TaskService::WithCallbackMethod_CancelTasks<
    v1::TaskService::WithCallbackMethod_UpdateTask<
        v1::TaskService::WithCallbackMethod_ForgetTask<
            v1::TaskService::WithCallbackMethod_CountTasks<
                v1::TaskService::WithCallbackMethod_ExplainTask<
                    v1::TaskService::Service>>>>>;

// StreamTasks reads bytes: see common/rpc/message_bytes.h.
using TaskServiceBase = v1::TaskService::WithCallbackMethod_SubmitTask<
    v1::TaskService::WithCallbackMethod_SubmitTasks<
        v1::TaskService::WithRawCallbackMethod_StreamTasks<
            v1::TaskService::WithCallbackMethod_GetTask<
                v1::TaskService::WithCallbackMethod_WaitTask<
                    v1::TaskService::WithCallbackMethod_WatchTask<
                        v1::TaskService::WithCallbackMethod_ListTasks<
                            v1::TaskService::WithCallbackMethod_CancelTask<
                                v1::TaskService::WithCallbackMethod_FollowTask<
                                    TaskControlMethods>>>>>>>>>;

// apium.v1.TaskService: turns each call into commands for the shard, and its
// replies into the answer. Runs on gRPC's callback threads and never blocks.
class TaskServiceImpl final : public TaskServiceBase {
 public:
  explicit TaskServiceImpl(const ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* SubmitTask(
      grpc::CallbackServerContext* rpc, const v1::SubmitTaskRequest* request,
      v1::SubmitTaskResponse* response) override;
  grpc::ServerUnaryReactor* SubmitTasks(
      grpc::CallbackServerContext* rpc, const v1::SubmitTasksRequest* request,
      v1::SubmitTasksResponse* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* StreamTasks(
      grpc::CallbackServerContext* rpc) override;
  grpc::ServerUnaryReactor* GetTask(grpc::CallbackServerContext* rpc,
                                    const v1::GetTaskRequest* request,
                                    v1::GetTaskResponse* response) override;
  grpc::ServerUnaryReactor* WaitTask(grpc::CallbackServerContext* rpc,
                                     const v1::WaitTaskRequest* request,
                                     v1::WaitTaskResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchTaskResponse>* WatchTask(
      grpc::CallbackServerContext* rpc,
      const v1::WatchTaskRequest* request) override;
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext* rpc,
                                      const v1::ListTasksRequest* request,
                                      v1::ListTasksResponse* response) override;
  grpc::ServerUnaryReactor* CancelTask(
      grpc::CallbackServerContext* rpc, const v1::CancelTaskRequest* request,
      v1::CancelTaskResponse* response) override;
  grpc::ServerWriteReactor<v1::FollowTaskResponse>* FollowTask(
      grpc::CallbackServerContext* rpc,
      const v1::FollowTaskRequest* request) override;
  grpc::ServerUnaryReactor* CancelTasks(
      grpc::CallbackServerContext* rpc, const v1::CancelTasksRequest* request,
      v1::CancelTasksResponse* response) override;
  grpc::ServerUnaryReactor* UpdateTask(
      grpc::CallbackServerContext* rpc, const v1::UpdateTaskRequest* request,
      v1::UpdateTaskResponse* response) override;
  grpc::ServerUnaryReactor* ForgetTask(
      grpc::CallbackServerContext* rpc, const v1::ForgetTaskRequest* request,
      v1::ForgetTaskResponse* response) override;
  grpc::ServerUnaryReactor* CountTasks(
      grpc::CallbackServerContext* rpc, const v1::CountTasksRequest* request,
      v1::CountTasksResponse* response) override;
  grpc::ServerUnaryReactor* ExplainTask(
      grpc::CallbackServerContext* rpc, const v1::ExplainTaskRequest* request,
      v1::ExplainTaskResponse* response) override;

 private:
  const ServiceContext context_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_SERVICE_H_
