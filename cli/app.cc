#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/batch_commands.h"
#include "cli/completion.h"
#include "cli/dead_letter_commands.h"
#include "cli/exchange_commands.h"
#include "cli/exit_code.h"
#include "cli/limit_commands.h"
#include "cli/queue_commands.h"
#include "cli/route_commands.h"
#include "cli/server_commands.h"
#include "cli/session.h"
#include "cli/task_commands.h"
#include "cli/type_commands.h"
#include "cli/worker_commands.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/version.h"

namespace apium::cli {
namespace {

void AddCompletion(CLI::App* app, Session* session) {
  CLI::App* completion =
      app->add_subcommand("completion", "Print a shell's completion script");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "Which shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""))
      ->type_name("bash|zsh|fish");
  completion->footer(
      "Examples:\n"
      "  source <(apium completion bash)\n"
      "  apium completion zsh > \"${fpath[1]}/_apium\"\n"
      "  apium completion fish > ~/.config/fish/completions/apium.fish");
  session->SetCommand(completion,
                      [app, shell, session]() -> absl::StatusOr<int> {
                        APIUM_ASSIGN_OR_RETURN(const std::string script,
                                               CompletionScript(*app, *shell));
                        *session->environment().out << script << std::flush;
                        return kExitOk;
                      });
}

void AddVersion(CLI::App* app, Session* session) {
  CLI::App* version =
      app->add_subcommand("version", "Print the version of this program");
  session->SetCommand(version, [session]() -> absl::StatusOr<int> {
    *session->environment().out << "apium " << kVersion << "\n" << std::flush;
    return kExitOk;
  });
}

constexpr char kFooter[] =
    "Examples:\n"
    "  apium server dev\n"
    "  apium task submit apium.echo hello --wait\n"
    "  apium task list --state failed -o json\n"
    "  apium queue pause mail\n"
    "\n"
    "Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 conflict, 5 "
    "unavailable, 6 timeout, 7 permission, 8 the task "
    "did not succeed, 130 interrupted.";

}  // namespace

int RunApium(std::vector<std::string> arguments,
             const Environment& environment) {
  Session session(environment);
  CLI::App app("The command line of Apium, a distributed task platform.",
               "apium");
  // Global options may come after the command as well.
  app.fallthrough();
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", StrCat("apium ", kVersion));
  AddGlobalOptions(&app, &session.options());
  AddTaskCommands(&app, &session);
  AddQueueCommands(&app, &session);
  AddDeadLetterCommands(&app, &session);
  AddLimitCommands(&app, &session);
  AddExchangeCommands(&app, &session);
  AddRouteCommands(&app, &session);
  AddTypeCommands(&app, &session);
  AddBatchCommands(&app, &session);
  AddWorkerCommands(&app, &session);
  AddServerCommands(&app, &session);
  AddCompletion(&app, &session);
  AddVersion(&app, &session);
  // CLI11 takes its arguments from the end of the vector.
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    // CLI11 has an exit code of its own for each kind of error.
    return app.exit(error, *environment.out, *environment.err) == 0
               ? kExitOk
               : kExitUsage;
  }
  return session.Run();
}

}  // namespace apium::cli
