#include "cli/task_filter_options.h"

#include <CLI/CLI.hpp>

#include "cli/option_values.h"
#include "cli/task_text.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium::cli {

void AddTaskFilterOptions(CLI::App* command, const std::string& which,
                          TaskFilterFlags* flags) {
  command
      ->add_option("--state", flags->states,
                   which + " tasks in this state; repeatable")
      ->type_name("STATE")
      ->allow_extra_args(false);
  command->add_option("--queue", flags->queue, which + " tasks of this queue")
      ->type_name("NAME");
  command->add_option("--type", flags->type, which + " tasks of this type")
      ->type_name("TYPE");
  AddPairs(command, "--header", &flags->headers,
           which + " tasks with this header; repeatable");
  AddTime(command, "--created-after", &flags->created_after,
          which + " tasks that were accepted then or later");
  AddTime(command, "--created-before", &flags->created_before,
          which + " tasks that were accepted before");
}

absl::StatusOr<v1::TaskState> StateOption(const std::string& name) {
  const std::optional<v1::TaskState> state = StateFromName(name);
  if (state.has_value()) return *state;
  return absl::InvalidArgumentError(StrCat("--state: ", QuoteForMessage(name),
                                           " is no state; the states are ",
                                           StateNames()));
}

}  // namespace apium::cli
