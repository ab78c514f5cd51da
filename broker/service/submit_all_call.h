#ifndef APIUM_BROKER_SERVICE_SUBMIT_ALL_CALL_H_
#define APIUM_BROKER_SERVICE_SUBMIT_ALL_CALL_H_

#include <string>

#include "apium/v1/task_service.pb.h"
#include "broker/service/engine_call.h"
#include "broker/service/service_context.h"

namespace apium::broker {

// One atomic SubmitTasks call: a command for all specs. The error of a spec
// names it: "specs[3].queue". Takes the strings out of `request`.
grpc::ServerUnaryReactor* StartSubmitAll(grpc::CallbackServerContext* rpc,
                                         const ServiceContext& context,
                                         const std::string& namespace_name,
                                         v1::SubmitTasksRequest* request,
                                         v1::SubmitTasksResponse* response);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_SUBMIT_ALL_CALL_H_
