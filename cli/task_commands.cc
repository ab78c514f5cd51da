#include "cli/task_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apium/v1/task_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/session.h"
#include "cli/task_control_commands.h"
#include "cli/task_filter_options.h"
#include "cli/task_follow_command.h"
#include "cli/task_submit_command.h"
#include "cli/task_submit_many_command.h"
#include "cli/task_text.h"
#include "client/result_client.h"
#include "client/task_client.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

void AddGet(CLI::App* task, Session* session) {
  CLI::App* get = task->add_subcommand("get", "Show a task, live or finished");
  const auto id = std::make_shared<std::string>();
  get->add_option("id", *id, "Id of the task")->required()->type_name("ID");
  get->footer(
      "Example:\n  apium task get 0190b6b5-... -o json | jq -r "
      ".outcome.result.data | base64 -d");
  session->SetCommand(get, [id, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", *id));
    APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
    APIUM_ASSIGN_OR_RETURN(v1::Task task, tasks->Get(*id));
    session->output().Print(task,
                            [&] { PrintTaskDetails(task, session->output()); });
    return kExitOk;
  });
}

void AddWait(CLI::App* task, Session* session) {
  struct Flags {
    std::string id;
    bool raw = false;
  };
  CLI::App* wait = task->add_subcommand(
      "wait",
      "Wait for the end of a task and print its result; exit code 8 if it did "
      "not succeed, 6 after --timeout");
  const auto flags = std::make_shared<Flags>();
  wait->add_option("id", flags->id, "Id of the task")
      ->required()
      ->type_name("ID");
  wait->add_flag("--raw", flags->raw, "Write the result's bytes as they are");
  wait->footer(
      "Example:\n  apium task wait \"$(apium task submit apium.echo hello)\" "
      "--timeout 30s");
  session->SetCommand(wait, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags->id));
    APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
    APIUM_ASSIGN_OR_RETURN(v1::Task task,
                           tasks->Wait(flags->id, session->wait_timeout()));
    return ReportFinishedTask(task, flags->raw, session);
  });
}

struct ListFlags {
  TaskFilterFlags filter;
  std::optional<absl::Time> finished_after;
  std::optional<absl::Time> finished_before;
  uint32_t limit = kPageSizeDefault;
  std::string page_token;
};

absl::StatusOr<v1::ListTasksRequest> MakeListRequest(const ListFlags& flags) {
  v1::ListTasksRequest request;
  APIUM_RETURN_IF_ERROR(FillTaskFilter(flags.filter, &request));
  if (flags.finished_after)
    TimeToProto(*flags.finished_after, request.mutable_finished_after());
  if (flags.finished_before)
    TimeToProto(*flags.finished_before, request.mutable_finished_before());
  request.set_page_token(flags.page_token);
  return request;
}

// Pages until `limit` tasks are there, or no more.
absl::StatusOr<v1::ListTasksResponse> ListUpTo(uint32_t limit,
                                               v1::ListTasksRequest request,
                                               TaskClient* tasks) {
  v1::ListTasksResponse all;
  do {
    const uint32_t wanted = limit - static_cast<uint32_t>(all.tasks_size());
    request.set_page_size(std::min<uint32_t>(wanted, kPageSizeMax));
    APIUM_ASSIGN_OR_RETURN(v1::ListTasksResponse page, tasks->List(request));
    for (v1::Task& task : *page.mutable_tasks()) all.add_tasks()->Swap(&task);
    all.set_next_page_token(page.next_page_token());
    request.set_page_token(page.next_page_token());
  } while (!all.next_page_token().empty() &&
           static_cast<uint32_t>(all.tasks_size()) < limit);
  return all;
}

void AddList(CLI::App* task, Session* session) {
  CLI::App* list = task->add_subcommand(
      "list", "List tasks: live ones, then finished ones, newest first");
  const auto flags = std::make_shared<ListFlags>();
  AddTaskFilterOptions(list, "Only", &flags->filter);
  AddTime(list, "--finished-after", &flags->finished_after,
          "Only tasks that ended then or later");
  AddTime(list, "--finished-before", &flags->finished_before,
          "Only tasks that ended before");
  list->add_option("--limit", flags->limit, "At most so many tasks")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER")
      ->capture_default_str();
  list->add_option("--page-token", flags->page_token,
                   "Go on where a former list ended")
      ->type_name("TOKEN");
  list->footer(
      "Examples:\n"
      "  apium task list --state queued --state started --queue mail\n"
      "  apium task list --state failed --finished-after 2026-01-31T00:00:00Z "
      "--limit 1000 -q");
  session->SetCommand(list, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(v1::ListTasksRequest request,
                           MakeListRequest(*flags));
    APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
    APIUM_ASSIGN_OR_RETURN(v1::ListTasksResponse response,
                           ListUpTo(flags->limit, std::move(request), tasks));
    session->output().Print(response, [&] {
      PrintTaskTable(response.tasks(), session->output());
      if (!response.next_page_token().empty()) {
        session->output().Note(
            StrCat("there are more; go on with --page-token ",
                   response.next_page_token()));
      }
    });
    return kExitOk;
  });
}

absl::StatusOr<int> WatchTask(const std::string& id, Session* session) {
  APIUM_RETURN_IF_ERROR(ValidateTaskId("id", id));
  APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
  v1::TaskState last = v1::TASK_STATE_UNSPECIFIED;
  APIUM_RETURN_IF_ERROR(tasks->Watch(
      id,
      [&](const v1::Task& task) {
        last = task.state();
        session->output().PrintOneOfMany(
            task, [&] { PrintTaskLine(task, session->output()); });
        return true;
      },
      session->wait_timeout()));
  return last == v1::TASK_STATE_SUCCEEDED ? kExitOk : kExitTaskFailed;
}

absl::StatusOr<int> WatchOutcomes(const std::string& after_cursor,
                                  Session* session) {
  APIUM_ASSIGN_OR_RETURN(ResultClient * results, session->results());
  APIUM_RETURN_IF_ERROR(results->Watch(
      {.after_cursor = after_cursor},
      [session](const v1::WatchResultsResponse& response) {
        if (session->output().format() != Format::kTable) {
          session->output().PrintOneOfMany(response, [] {});
        } else {
          for (const v1::TaskOutcome& outcome : response.outcomes())
            PrintOutcomeLine(outcome, session->output());
          session->output().out()->flush();
        }
        return true;
      }));
  return kExitOk;
}

void AddWatch(CLI::App* task, Session* session) {
  struct Flags {
    std::string id;
    std::string after;
  };
  CLI::App* watch =
      task->add_subcommand("watch",
                           "Print each change of a task until its end; without "
                           "an id, every task of the namespace that ends");
  const auto flags = std::make_shared<Flags>();
  CLI::Option* id =
      watch->add_option("id", flags->id, "Id of the task")->type_name("ID");
  watch
      ->add_option("--after", flags->after,
                   "Without an id: go on behind this cursor; 0 is the oldest "
                   "that is kept")
      ->type_name("CURSOR")
      ->excludes(id);
  watch->footer(
      "Examples:\n"
      "  apium task watch 0190b6b5-...\n"
      "  apium task watch --after 0 -o json");
  session->SetCommand(watch, [flags, session]() -> absl::StatusOr<int> {
    return flags->id.empty() ? WatchOutcomes(flags->after, session)
                             : WatchTask(flags->id, session);
  });
}

}  // namespace

void AddTaskCommands(CLI::App* app, Session* session) {
  CLI::App* task = app->add_subcommand(
      "task", "Submit tasks, look at them, wait for them, cancel them");
  task->require_subcommand(1);
  AddTaskSubmitCommand(task, session);
  AddTaskSubmitManyCommand(task, session);
  AddGet(task, session);
  AddWait(task, session);
  AddList(task, session);
  AddTaskCancelCommand(task, session);
  AddWatch(task, session);
  AddTaskFollowCommand(task, session);
  AddTaskControlCommands(task, session);
}

}  // namespace apium::cli
