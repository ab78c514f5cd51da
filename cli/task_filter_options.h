#ifndef APIUM_CLI_TASK_FILTER_OPTIONS_H_
#define APIUM_CLI_TASK_FILTER_OPTIONS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"

namespace CLI {
class App;
}

namespace apium::cli {

// The options that say which tasks are meant: --state, --queue, --type,
// --header, --created-after, --created-before.
struct TaskFilterFlags {
  std::vector<std::string> states;
  std::string queue;
  std::string type;
  std::map<std::string, std::string> headers;
  std::optional<absl::Time> created_after;
  std::optional<absl::Time> created_before;

  bool any() const {
    return !states.empty() || !queue.empty() || !type.empty() ||
           !headers.empty() || created_after.has_value() ||
           created_before.has_value();
  }
};

// `which` begins the help of each, as "Only".
void AddTaskFilterOptions(CLI::App* command, const std::string& which,
                          TaskFilterFlags* flags);

// The value of a --state option. INVALID_ARGUMENT names the states.
absl::StatusOr<v1::TaskState> StateOption(const std::string& name);

// Into a v1::TaskFilter or a v1::ListTasksRequest.
template <typename Proto>
absl::Status FillTaskFilter(const TaskFilterFlags& flags, Proto* proto) {
  for (const std::string& name : flags.states) {
    APIUM_ASSIGN_OR_RETURN(const v1::TaskState state, StateOption(name));
    proto->add_states(state);
  }
  proto->set_queue(flags.queue);
  proto->set_type(flags.type);
  proto->mutable_headers()->insert(flags.headers.begin(), flags.headers.end());
  if (flags.created_after)
    TimeToProto(*flags.created_after, proto->mutable_created_after());
  if (flags.created_before)
    TimeToProto(*flags.created_before, proto->mutable_created_before());
  return absl::OkStatus();
}

}  // namespace apium::cli

#endif  // APIUM_CLI_TASK_FILTER_OPTIONS_H_
