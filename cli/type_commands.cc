#include "cli/type_commands.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "apium/v1/task_type_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/task_type_client.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

Cell StateCell(v1::BreakerState state) {
  const std::string& name = v1::BreakerState_Name(state);
  std::string text(StdView(absl::StripPrefix(name, "BREAKER_STATE_")));
  return Cell(std::move(text), state == v1::BREAKER_STATE_CLOSED
                                   ? Style::kPlain
                                   : Style::kYellow);
}

void PrintBreaker(const v1::Breaker& breaker, const Output& output) {
  output.Print(breaker, [&] {
    Details details;
    details.Add("Type", breaker.type());
    details.Add("State", StateCell(breaker.state()));
    details.Add("Failed", StrCat(breaker.failures(), " of ", breaker.attempts(),
                                 " attempts"));
    details.Add("Opens at",
                StrCat("a share of ", breaker.failure_share(), " of at least ",
                       breaker.min_attempts(), " attempts within ",
                       DurationText(breaker.window())));
    details.Add("Stays open", DurationText(breaker.open_duration()));
    details.Add("Opened last", TimeText(breaker.open_time()));
    details.Print(output.out(), output.color());
  });
}

void AddSet(CLI::App* parent, Session* session) {
  struct Flags {
    std::string type;
    double share = 0;
    uint32_t min_attempts = 0;
    std::optional<absl::Duration> window;
    std::optional<absl::Duration> open;
  };
  CLI::App* set = parent->add_subcommand(
      "set", "Pause the dispatch of a type when its attempts fail too often");
  const auto flags = std::make_shared<Flags>();
  set->add_option("type", flags->type, "Task type")
      ->required()
      ->type_name("TYPE");
  set->add_option("--share", flags->share,
                  "Share of failed attempts at which it opens: above 0, at "
                  "most 1")
      ->required()
      ->type_name("NUMBER");
  set->add_option("--min-attempts", flags->min_attempts,
                  "Attempts in the window before it opens [20]")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  AddDuration(set, "--window", &flags->window, "How far back it looks [1m]");
  AddDuration(set, "--open", &flags->open,
              "How long it stays open before one task is tried [30s]");
  set->footer("Example:\n  apium type breaker set mail.send --share 0.5");
  session->SetCommand(set, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("type", flags->type));
    // 0 would remove it.
    if (flags->share == 0) {
      return absl::InvalidArgumentError(
          "--share is 0; must be above 0 (`remove` removes the breaker)");
    }
    v1::Breaker breaker;
    breaker.set_type(flags->type);
    breaker.set_failure_share(flags->share);
    breaker.set_min_attempts(flags->min_attempts);
    if (flags->window)
      DurationToProto(*flags->window, breaker.mutable_window());
    if (flags->open)
      DurationToProto(*flags->open, breaker.mutable_open_duration());
    APIUM_ASSIGN_OR_RETURN(TaskTypeClient * types, session->task_types());
    APIUM_ASSIGN_OR_RETURN(breaker, types->SetBreaker(std::move(breaker)));
    PrintBreaker(breaker, session->output());
    return kExitOk;
  });
}

std::shared_ptr<std::string> AddType(CLI::App* command) {
  const auto type = std::make_shared<std::string>();
  command->add_option("type", *type, "Task type")
      ->required()
      ->type_name("TYPE");
  return type;
}

void AddRemove(CLI::App* parent, Session* session) {
  CLI::App* remove =
      parent->add_subcommand("remove", "Remove the breaker of a type");
  const auto type = AddType(remove);
  session->SetCommand(remove, [type, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("type", *type));
    APIUM_ASSIGN_OR_RETURN(TaskTypeClient * types, session->task_types());
    APIUM_RETURN_IF_ERROR(types->RemoveBreaker(*type));
    session->output().Print(v1::SetBreakerResponse(), [&] {
      session->output().Note(StrCat("removed the breaker of ", *type));
    });
    return kExitOk;
  });
}

// A command that takes a type and prints its breaker.
void AddByType(
    CLI::App* parent, Session* session, const std::string& name,
    const std::string& description,
    absl::StatusOr<v1::Breaker> (TaskTypeClient::*method)(std::string_view)) {
  CLI::App* command = parent->add_subcommand(name, description);
  const auto type = AddType(command);
  session->SetCommand(
      command, [type, session, method]() -> absl::StatusOr<int> {
        APIUM_RETURN_IF_ERROR(ValidateTaskType("type", *type));
        APIUM_ASSIGN_OR_RETURN(TaskTypeClient * types, session->task_types());
        APIUM_ASSIGN_OR_RETURN(const v1::Breaker breaker,
                               (types->*method)(*type));
        PrintBreaker(breaker, session->output());
        return kExitOk;
      });
}

void PrintBreakerTable(const v1::ListBreakersResponse& all,
                       const Output& output) {
  if (output.quiet()) {
    for (const v1::Breaker& breaker : all.breakers())
      *output.out() << breaker.type() << "\n";
    return;
  }
  Table table({{.name = "TYPE"},
               {.name = "STATE"},
               {.name = "FAILED", .align = Align::kRight},
               {.name = "ATTEMPTS", .align = Align::kRight},
               {.name = "SHARE", .align = Align::kRight},
               {.name = "OPENED"}});
  for (const v1::Breaker& breaker : all.breakers()) {
    table.AddRow({breaker.type(), StateCell(breaker.state()),
                  StrCat(breaker.failures()), StrCat(breaker.attempts()),
                  StrCat(breaker.failure_share()),
                  TimeText(breaker.open_time())});
  }
  table.Print(output.out(), output.color());
}

void AddList(CLI::App* parent, Session* session) {
  CLI::App* list = parent->add_subcommand("list", "List the breakers");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(TaskTypeClient * types, session->task_types());
    APIUM_ASSIGN_OR_RETURN(const v1::ListBreakersResponse all,
                           types->ListBreakers());
    session->output().Print(all,
                            [&] { PrintBreakerTable(all, session->output()); });
    return kExitOk;
  });
}

}  // namespace

void AddTypeCommands(CLI::App* app, Session* session) {
  CLI::App* type =
      app->add_subcommand("type", "What holds for all tasks of a type");
  type->require_subcommand(1);
  CLI::App* breaker = type->add_subcommand(
      "breaker", "Circuit breakers of types whose attempts fail too often");
  breaker->require_subcommand(1);
  AddSet(breaker, session);
  AddByType(breaker, session, "get", "Show the breaker of a type",
            &TaskTypeClient::GetBreaker);
  AddList(breaker, session);
  AddByType(breaker, session, "reset", "Close a breaker that is open",
            &TaskTypeClient::ResetBreaker);
  AddRemove(breaker, session);
}

}  // namespace apium::cli
