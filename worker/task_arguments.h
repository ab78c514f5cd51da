// Payload -> parameters, and result -> payload: what typed registration is made
// of. Handlers in the raw form may use it, too.

#ifndef APIUM_WORKER_TASK_ARGUMENTS_H_
#define APIUM_WORKER_TASK_ARGUMENTS_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"
#include "client/json_payload.h"  // JsonPayload: a handler's result has the form that the client reads

namespace apium {

inline constexpr std::string_view kProtobufContentType =
    "application/x-protobuf";

// The arguments of the SDKs' common form: {"args": [...], "kwargs": {...}}.
// Either member may be missing; an empty payload has no arguments at all.
class TaskArguments {
 public:
  // Errors are apium.BadArguments and say what is wrong: another content type,
  // a content encoding, no JSON, an unknown member.
  static absl::StatusOr<TaskArguments> Parse(const v1::Payload& payload);

  // Puts named arguments in the place of parameters: `names` in the order of
  // the parameters, empty if they have none. Checks that there are no more than
  // `parameters_max` arguments, each given once.
  absl::Status Bind(const std::vector<std::string>& names,
                    size_t parameters_max);

  // The argument of a parameter; null if it was not given.
  const nlohmann::json* Find(size_t index) const;
  // By name, without Bind.
  const nlohmann::json* FindNamed(std::string_view name) const;

  // "argument 2 (limit): <what>", as apium.BadArguments.
  static absl::Status Error(const std::vector<std::string>& names, size_t index,
                            std::string_view what);

 private:
  nlohmann::json positional_ = nlohmann::json::array();
  nlohmann::json named_ = nlohmann::json::object();
  std::vector<const nlohmann::json*> bound_;
};

// "application/x-protobuf; messageType=apium.v1.Progress".
std::string ProtobufContentType(std::string_view full_name);

// OK if `payload` may hold a message of that name: the type is right, and the
// messageType, if given, too. The error is apium.BadArguments.
absl::Status CheckProtobufPayload(const v1::Payload& payload,
                                  std::string_view full_name);

}  // namespace apium

#endif  // APIUM_WORKER_TASK_ARGUMENTS_H_
