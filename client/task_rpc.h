// What a TaskClient and its streams share. Private to client/.

#ifndef APIUM_CLIENT_TASK_RPC_H_
#define APIUM_CLIENT_TASK_RPC_H_

#include <grpcpp/channel.h>

#include <memory>

#include "apium/v1/task_service.grpc.pb.h"
#include "client/async_calls.h"
#include "client/connection.h"
#include "client/task_client.h"

namespace apium {

struct TaskClient::Rpc {
  explicit Rpc(const Connection& connection)
      : stub(v1::TaskService::NewStub(connection.channel())) {}

  class v1::TaskService::Stub::async* async() const {
    return stub->async();
  }

  const std::unique_ptr<v1::TaskService::Stub> stub;
  // Last, so that it is destroyed first: its calls use the stub.
  AsyncCalls calls;
};

}  // namespace apium

#endif  // APIUM_CLIENT_TASK_RPC_H_
