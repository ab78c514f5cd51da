#include "cli/task_follow_command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>

#include "cli/exit_code.h"
#include "cli/session.h"
#include "cli/task_text.h"
#include "client/task_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

struct Flags {
  std::string id;
  uint64_t from = 1;
  bool raw = false;
};

void PrintChunk(const v1::TaskChunk& chunk, bool raw, const Output& output) {
  if (raw) {
    *output.out() << chunk.payload().data();
  } else {
    *output.out() << PayloadText(chunk.payload()) << "\n";
  }
  output.out()->flush();
}

absl::StatusOr<int> FollowTask(const Flags& flags, Session* session) {
  APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags.id));
  APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
  uint64_t next = flags.from;
  const absl::StatusOr<v1::Task> task = tasks->Follow(
      flags.id, flags.from,
      [&](const v1::TaskChunk& chunk) {
        next = chunk.position() + 1;
        session->output().PrintOneOfMany(
            chunk, [&] { PrintChunk(chunk, flags.raw, session->output()); });
        return true;
      },
      session->wait_timeout());
  if (!task.ok()) {
    if (next > flags.from)
      session->output().Note(StrCat("go on with --from ", next));
    return task.status();
  }
  return task->state() == v1::TASK_STATE_SUCCEEDED ? kExitOk : kExitTaskFailed;
}

}  // namespace

void AddTaskFollowCommand(CLI::App* task, Session* session) {
  CLI::App* follow = task->add_subcommand(
      "follow",
      "Print what the task's handler appends, attempt by attempt, until its "
      "end; exit code 8 if it did not succeed, 6 after --timeout");
  const auto flags = std::make_shared<Flags>();
  follow->add_option("id", flags->id, "Id of the task")
      ->required()
      ->type_name("ID");
  follow
      ->add_option("--from", flags->from,
                   "First position to print; the first of all is 1")
      ->check(CLI::PositiveNumber)
      ->type_name("POSITION")
      ->capture_default_str();
  follow->add_flag("--raw", flags->raw,
                   "Write the chunks' bytes as they are, one behind the other");
  follow->footer(
      "Example:\n  apium task follow \"$(apium task submit apium.count 100 "
      "0.1)\" --from 50");
  session->SetCommand(follow, [flags, session]() -> absl::StatusOr<int> {
    return FollowTask(*flags, session);
  });
}

}  // namespace apium::cli
