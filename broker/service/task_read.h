#ifndef APIUM_BROKER_SERVICE_TASK_READ_H_
#define APIUM_BROKER_SERVICE_TASK_READ_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/effects.h"
#include "broker/service/engine_call.h"
#include "broker/service/open_calls.h"
#include "broker/service/service_context.h"
#include "broker/service/task_to_proto.h"

namespace apium::v1 {
class Task;
}  // namespace apium::v1

namespace apium::broker {

// Which task, and how it is asked for.
struct TaskReadRequest {
  std::string namespace_name;
  std::string task_id;
  View view = View::kFull;
  // When the caller gives up.
  absl::Time deadline = absl::InfiniteFuture();
};

// NOT_FOUND / TASK_NOT_FOUND, as every call says it.
absl::Status TaskNotFound(const std::string& namespace_name,
                          const std::string& task_id);

// Makes one answer of the two halves of the truth: what is live or just
// finished is in `reply`, the rest is asked of the result service. `done` is
// called once, at once or on a thread of gRPC's, with the task or with the
// error for the caller.
void MergeTaskReply(const ServiceContext& context,
                    const TaskReadRequest& request, TaskReply&& reply,
                    std::function<void(absl::StatusOr<v1::Task>)> done);

// What a call does besides passing the task on. Each may be empty.
struct TaskReadHooks {
  // Sees the engine's answer.
  std::function<void(const TaskReply&)> replied;
  // The task is finished, and the result service told of it: an error is the
  // answer instead of the task.
  std::function<absl::Status(const v1::Task&)> finished_elsewhere;
};

// GetTask, WaitTask, CancelTask, UpdateTask: one task, by one command. Any
// thread.
class TaskReadCall final : public SharedUnaryCall,
                           public ReplySink,
                           public OpenCall {
 public:
  // `task` is in the response. A `lasting` call waits for something to happen:
  // a shutdown ends it, and the engine is told when its caller has gone.
  enum class Kind { kQuick, kLasting };
  TaskReadCall(const ServiceContext* context, Kind kind,
               TaskReadRequest request, TaskReadHooks hooks, v1::Task* task);

  // Starts the call; `command` without its reply address.
  template <typename CommandType>
  static grpc::ServerUnaryReactor* Start(const ServiceContext* context,
                                         Kind kind, MailboxShare share,
                                         TaskReadRequest request,
                                         CommandType&& command, v1::Task* task,
                                         TaskReadHooks hooks = {});

  void Take(uint64_t tag, Reply&& reply) override;
  void End(const absl::Status& status) override;
  void OnDone() override;

 private:
  void OnGivenUp() override;
  void Conclude(absl::StatusOr<v1::Task> task);

  const ServiceContext* const context_;
  const Kind kind_;
  const TaskReadRequest request_;
  const TaskReadHooks hooks_;
  v1::Task* const task_;
};

template <typename CommandType>
grpc::ServerUnaryReactor* TaskReadCall::Start(const ServiceContext* context,
                                              Kind kind, MailboxShare share,
                                              TaskReadRequest request,
                                              CommandType&& command,
                                              v1::Task* task,
                                              TaskReadHooks hooks) {
  command.namespace_name = request.namespace_name;
  command.task_id = request.task_id;
  auto call = std::make_shared<TaskReadCall>(context, kind, std::move(request),
                                             std::move(hooks), task);
  call->HoldUntilDone();
  if (kind == Kind::kLasting) context->open_calls->Add(call);
  command.reply = {call, 0};
  const absl::Status pushed = context->mailbox->Push(std::move(command), share);
  if (!pushed.ok() && call->Claim()) call->Finish(ToGrpcStatus(pushed));
  return call.get();
}

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_READ_H_
