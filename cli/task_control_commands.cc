#include "cli/task_control_commands.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "apium/v1/task_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_filter_options.h"
#include "cli/task_text.h"
#include "cli/wait_reason_text.h"
#include "client/task_client.h"
#include "client/task_control.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

struct CancelFlags {
  std::vector<std::string> ids;
  std::string reason;
  TaskFilterFlags filter;
  bool dry_run = false;
  bool yes = false;
};

absl::StatusOr<int> CancelByIds(const CancelFlags& flags, Session* session) {
  for (const std::string& id : flags.ids)
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", id));
  APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
  for (const std::string& id : flags.ids) {
    APIUM_ASSIGN_OR_RETURN(v1::Task task, tasks->Cancel(id, flags.reason));
    session->output().PrintOneOfMany(task, [&] {
      if (session->output().quiet()) return;
      PrintTaskLine(task, session->output());
    });
  }
  return kExitOk;
}

void PrintCancels(const v1::CancelTasksResponse& response, bool dry_run,
                  const Output& output) {
  output.Print(response, [&] {
    if (output.quiet()) {
      *output.out() << response.cancelled() + response.requested() << "\n";
      return;
    }
    *output.out() << (dry_run ? "would cancel " : "cancelled ")
                  << response.cancelled() << " tasks that wait, "
                  << (dry_run ? "and ask workers to stop "
                              : "asked workers to stop ")
                  << response.requested() << "\n";
  });
}

absl::StatusOr<int> CancelByFilter(const CancelFlags& flags, Session* session) {
  v1::TaskFilter filter;
  APIUM_RETURN_IF_ERROR(FillTaskFilter(flags.filter, &filter));
  APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
  if (flags.dry_run || !flags.yes) {
    APIUM_ASSIGN_OR_RETURN(const v1::CancelTasksResponse counted,
                           control->CountMatching(filter));
    if (flags.dry_run) {
      PrintCancels(counted, /*dry_run=*/true, session->output());
      return kExitOk;
    }
    APIUM_ASSIGN_OR_RETURN(
        const bool confirmed,
        session->Confirm(flags.yes,
                         StrCat("Cancel ", counted.cancelled(),
                                " tasks that wait, and ask workers to stop ",
                                counted.requested(), "?")));
    if (!confirmed) return kExitError;
  }
  APIUM_ASSIGN_OR_RETURN(const v1::CancelTasksResponse response,
                         control->CancelMatching(filter, flags.reason));
  PrintCancels(response, /*dry_run=*/false, session->output());
  return kExitOk;
}

struct UpdateFlags {
  std::string id;
  std::optional<uint32_t> priority;
  std::optional<absl::Time> eta;
  std::optional<absl::Duration> delay;
  bool run_now = false;
  std::optional<absl::Time> expires;
  std::optional<absl::Duration> expire_after;
  bool clear_expiry = false;
};

v1::UpdateTaskRequest MakeUpdate(const UpdateFlags& flags) {
  v1::UpdateTaskRequest changes;
  changes.set_task_id(flags.id);
  if (flags.priority) changes.set_priority(*flags.priority);
  if (flags.eta) TimeToProto(*flags.eta, changes.mutable_eta());
  if (flags.delay) DurationToProto(*flags.delay, changes.mutable_delay());
  changes.set_run_now(flags.run_now);
  if (flags.expires) TimeToProto(*flags.expires, changes.mutable_expire_time());
  if (flags.expire_after)
    DurationToProto(*flags.expire_after, changes.mutable_expire_after());
  changes.set_clear_expiry(flags.clear_expiry);
  return changes;
}

void AddUpdate(CLI::App* task, Session* session) {
  CLI::App* update = task->add_subcommand(
      "update", "Change priority, time or expiry of a task that waits");
  const auto flags = std::make_shared<UpdateFlags>();
  update->add_option("id", flags->id, "Id of the task")
      ->required()
      ->type_name("ID");
  update
      ->add_option("--priority", flags->priority,
                   "0 to 255; it goes behind those that wait with it")
      ->check(CLI::Range(0u, kPriorityMax))
      ->type_name("NUMBER");
  CLI::Option* eta = AddTime(update, "--eta", &flags->eta, "Not before");
  CLI::Option* delay =
      AddDuration(update, "--delay", &flags->delay, "Not before, from now");
  update->add_flag("--run-now", flags->run_now, "Make it ready")
      ->excludes(eta)
      ->excludes(delay);
  eta->excludes(delay);
  CLI::Option* expires =
      AddTime(update, "--expires", &flags->expires, "Not started after");
  CLI::Option* expire_after =
      AddDuration(update, "--expire-after", &flags->expire_after,
                  "Not started after, from now");
  expires->excludes(expire_after);
  update->add_flag("--clear-expiry", flags->clear_expiry, "It does not expire")
      ->excludes(expires)
      ->excludes(expire_after);
  update->footer(
      "Example:\n  apium task update 0190b6b5-... --priority 200 --delay 1h");
  session->SetCommand(update, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags->id));
    APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
    APIUM_ASSIGN_OR_RETURN(v1::Task changed,
                           control->Update(MakeUpdate(*flags)));
    session->output().Print(
        changed, [&] { PrintTaskDetails(changed, session->output()); });
    return kExitOk;
  });
}

void AddRunNow(CLI::App* task, Session* session) {
  CLI::App* run_now = task->add_subcommand(
      "run-now", "Make a task that waits for its time, or for a retry, ready");
  const auto id = std::make_shared<std::string>();
  run_now->add_option("id", *id, "Id of the task")->required()->type_name("ID");
  session->SetCommand(run_now, [id, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", *id));
    APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
    APIUM_ASSIGN_OR_RETURN(v1::Task changed, control->RunNow(*id));
    session->output().Print(changed,
                            [&] { PrintTaskLine(changed, session->output()); });
    return kExitOk;
  });
}

void AddForget(CLI::App* task, Session* session) {
  CLI::App* forget = task->add_subcommand(
      "forget", "Delete what is kept of finished tasks before its time");
  const auto ids = std::make_shared<std::vector<std::string>>();
  forget->add_option("ids", *ids, "Ids of the tasks")
      ->required()
      ->type_name("ID");
  session->SetCommand(forget, [ids, session]() -> absl::StatusOr<int> {
    for (const std::string& id : *ids)
      APIUM_RETURN_IF_ERROR(ValidateTaskId("id", id));
    APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
    for (const std::string& id : *ids)
      APIUM_RETURN_IF_ERROR(control->Forget(id));
    session->output().Print(v1::ForgetTaskResponse(), [&] {
      session->output().Note(StrCat("forgot ", ids->size(),
                                    ids->size() == 1 ? " task" : " tasks"));
    });
    return kExitOk;
  });
}

void PrintCounts(const v1::CountTasksResponse& response, const Output& output) {
  const char* const kNumbers[] = {
      "BLOCKED",   "SCHEDULED", "QUEUED",    "LEASED",  "STARTED",
      "SUCCEEDED", "FAILED",    "CANCELLED", "EXPIRED", "DEAD-LETTERED"};
  std::vector<Column> columns = {{.name = "QUEUE"}};
  for (const char* name : kNumbers)
    columns.push_back({.name = name, .align = Align::kRight});
  Table table(std::move(columns));
  for (const v1::TaskCounts& counts : response.queues()) {
    std::vector<Cell> row = {Cell(counts.queue())};
    for (const uint64_t number :
         {counts.blocked(), counts.scheduled(), counts.queued(),
          counts.leased(), counts.started(), counts.succeeded(),
          counts.failed(), counts.cancelled(), counts.expired(),
          counts.dead_lettered()}) {
      row.push_back(Cell(StrCat(number)));
    }
    table.AddRow(std::move(row));
  }
  table.Print(output.out(), output.color());
}

void AddCount(CLI::App* task, Session* session) {
  CLI::App* count = task->add_subcommand(
      "count",
      "Count tasks by queue and state: live ones, and all that ever ended");
  const auto queue = std::make_shared<std::string>();
  count->add_option("--queue", *queue, "Only tasks of this queue")
      ->type_name("NAME");
  session->SetCommand(count, [queue, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
    APIUM_ASSIGN_OR_RETURN(const v1::CountTasksResponse response,
                           control->Count(*queue));
    session->output().Print(response,
                            [&] { PrintCounts(response, session->output()); });
    return kExitOk;
  });
}

void AddExplain(CLI::App* task, Session* session) {
  CLI::App* explain =
      task->add_subcommand("explain", "Say why a task does not run now");
  const auto id = std::make_shared<std::string>();
  explain->add_option("id", *id, "Id of the task")->required()->type_name("ID");
  session->SetCommand(explain, [id, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", *id));
    APIUM_ASSIGN_OR_RETURN(TaskControl * control, session->control());
    APIUM_ASSIGN_OR_RETURN(const v1::ExplainTaskResponse response,
                           control->Explain(*id));
    session->output().Print(response, [&] {
      if (!session->output().quiet()) {
        *session->output().out()
            << *id << "  " << StateName(response.state()) << "\n";
      }
      if (response.reasons().empty()) {
        session->output().Note("nothing holds it up");
      } else {
        PrintTaskReasons(response.reasons(), session->output());
      }
    });
    return kExitOk;
  });
}

}  // namespace

void AddTaskCancelCommand(CLI::App* task, Session* session) {
  CLI::App* cancel =
      task->add_subcommand("cancel",
                           "Cancel tasks: one that waits ends at once, one "
                           "that runs is told to stop");
  const auto flags = std::make_shared<CancelFlags>();
  cancel->add_option("ids", flags->ids, "Ids of the tasks")->type_name("ID");
  cancel->add_option("--reason", flags->reason, "Kept with the outcome")
      ->type_name("TEXT");
  AddTaskFilterOptions(cancel, "Instead of ids: all", &flags->filter);
  cancel->add_flag("--dry-run", flags->dry_run,
                   "Only count what would be cancelled");
  cancel->add_flag("-y,--yes", flags->yes,
                   "Do not ask; needed for a filter where there is no "
                   "terminal");
  cancel->footer(
      "Examples:\n"
      "  apium task cancel 0190b6b5-... --reason 'wrong template'\n"
      "  apium task cancel --queue mail --header customer=7 --dry-run");
  session->SetCommand(cancel, [flags, session]() -> absl::StatusOr<int> {
    if (flags->filter.any() == !flags->ids.empty()) {
      return absl::InvalidArgumentError(
          "give ids, or else a filter: --queue, --type, --state, --header, "
          "--created-after or --created-before");
    }
    if (flags->filter.any()) return CancelByFilter(*flags, session);
    if (flags->dry_run) {
      return absl::InvalidArgumentError("--dry-run is for a filter");
    }
    return CancelByIds(*flags, session);
  });
}

void AddTaskControlCommands(CLI::App* task, Session* session) {
  AddUpdate(task, session);
  AddRunNow(task, session);
  AddForget(task, session);
  AddCount(task, session);
  AddExplain(task, session);
}

}  // namespace apium::cli
