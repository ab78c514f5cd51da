#include "cli/task_submit_many_command.h"

#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <istream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "apium/v1/task_service.pb.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "client/task_client.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

struct SubmitManyFlags {
  std::string file = "-";
  std::string batch_id;
  bool atomic = false;
  std::string request_id;
};

absl::StatusOr<std::vector<v1::TaskSpec>> ReadSpecs(std::istream* in,
                                                    const std::string& batch) {
  std::vector<v1::TaskSpec> specs;
  std::string line;
  for (size_t number = 1; std::getline(*in, line); ++number) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    v1::TaskSpec spec;
    const auto parsed =
        google::protobuf::util::JsonStringToMessage(line, &spec);
    if (!parsed.ok()) {
      return InvalidField(
          StrCat("line ", number),
          StrCat("is no TaskSpec in JSON: ", std::string(parsed.message())));
    }
    if (!batch.empty()) spec.set_batch_id(batch);
    specs.push_back(std::move(spec));
  }
  if (specs.empty()) return InvalidField("file", "has no tasks");
  return specs;
}

absl::StatusOr<std::vector<v1::TaskSpec>> ReadSpecs(
    const SubmitManyFlags& flags, Session* session) {
  if (flags.file == "-")
    return ReadSpecs(session->environment().in, flags.batch_id);
  std::ifstream in(flags.file);
  if (!in) return absl::NotFoundError(StrCat("cannot read ", flags.file));
  return ReadSpecs(&in, flags.batch_id);
}

void AddHandle(const TaskHandle& handle, v1::SubmitTasksResponse* response) {
  v1::SubmitTasksResult* const result = response->add_results();
  result->set_task_id(handle.id());
  result->set_attached(handle.attached());
  for (const std::string& id : handle.copy_ids()) result->add_copy_task_ids(id);
}

void PrintIds(const v1::SubmitTasksResponse& response, const Output& output) {
  output.Print(response, [&] {
    for (const v1::SubmitTasksResult& result : response.results()) {
      *output.out() << result.task_id() << "\n";
      for (const std::string& id : result.copy_task_ids())
        *output.out() << id << "\n";
    }
  });
}

// Prints the ids that were accepted; the error is the first that there was.
absl::StatusOr<int> SubmitEach(std::vector<v1::TaskSpec> specs,
                               TaskClient* tasks, Session* session) {
  absl::Status first_error = absl::OkStatus();
  v1::SubmitTasksResponse response;
  const auto handles = tasks->SubmitMany(std::move(specs));
  size_t refused = 0;
  for (const auto& handle : handles) {
    if (handle.ok()) {
      AddHandle(*handle, &response);
    } else {
      ++refused;
      first_error.Update(handle.status());
    }
  }
  PrintIds(response, session->output());
  if (refused == 0) return kExitOk;
  session->output().Note(
      StrCat(refused, " of ", handles.size(), " tasks were refused"));
  return first_error;
}

absl::StatusOr<int> SubmitMany(const SubmitManyFlags& flags, Session* session) {
  APIUM_ASSIGN_OR_RETURN(std::vector<v1::TaskSpec> specs,
                         ReadSpecs(flags, session));
  APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
  if (!flags.atomic) return SubmitEach(std::move(specs), tasks, session);
  APIUM_ASSIGN_OR_RETURN(
      const std::vector<TaskHandle> handles,
      tasks->SubmitAtomic(std::move(specs), flags.request_id));
  v1::SubmitTasksResponse response;
  for (const TaskHandle& handle : handles) AddHandle(handle, &response);
  PrintIds(response, session->output());
  return kExitOk;
}

}  // namespace

void AddTaskSubmitManyCommand(CLI::App* task, Session* session) {
  CLI::App* submit = task->add_subcommand(
      "submit-many", "Submit the tasks of a file and print their ids");
  const auto flags = std::make_shared<SubmitManyFlags>();
  submit
      ->add_option("file", flags->file,
                   "A TaskSpec as JSON on each line; - reads stdin [-]")
      ->type_name("FILE");
  submit->add_flag("--atomic", flags->atomic,
                   "All of them or none; at most 1,000");
  submit
      ->add_option("--request-id", flags->request_id,
                   "Makes the call safe to repeat: the same ids again. With "
                   "--atomic")
      ->type_name("ID")
      ->needs("--atomic");
  submit
      ->add_option("--batch", flags->batch_id,
                   "Open batch that the tasks join; see `apium batch`")
      ->type_name("ID");
  submit->footer(
      "Example:\n"
      "  echo '{\"type\": \"apium.noop\", \"queue\": \"mail\"}' | apium task "
      "submit-many --atomic");
  session->SetCommand(submit,
                      [flags, session] { return SubmitMany(*flags, session); });
}

}  // namespace apium::cli
