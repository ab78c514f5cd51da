#include "cli/dead_letter_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "apium/v1/dead_letter_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/payload_options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/dead_letter_client.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string FailureText(const v1::Failure& failure) {
  return failure.message().empty()
             ? failure.type()
             : StrCat(failure.type(), ": ", failure.message());
}

std::string EventKindText(v1::TaskEventKind kind) {
  const std::string& name = v1::TaskEventKind_Name(kind);
  return std::string(StdView(absl::StripPrefix(name, "TASK_EVENT_KIND_")));
}

std::string StateText(v1::RedriveState state) {
  const std::string& name = v1::RedriveState_Name(state);
  return std::string(StdView(absl::StripPrefix(name, "REDRIVE_STATE_")));
}

void PrintLetterTable(const v1::ListDeadLettersResponse& page,
                      const Output& output) {
  if (output.quiet()) {
    for (const v1::DeadLetter& letter : page.dead_letters())
      *output.out() << letter.task_id() << "\n";
    return;
  }
  Table table({{.name = "ID"},
               {.name = "TYPE"},
               {.name = "DIED"},
               {.name = "FAILURES", .align = Align::kRight},
               {.name = "CRASHES", .align = Align::kRight},
               {.name = "RETURNS", .align = Align::kRight},
               {.name = "FAILURE"}});
  for (const v1::DeadLetter& letter : page.dead_letters()) {
    table.AddRow({letter.task_id(), letter.spec().type(),
                  TimeText(letter.dead_time()), StrCat(letter.failures()),
                  StrCat(letter.crashes()), StrCat(letter.returns()),
                  Cell(FailureText(letter.failure()), Style::kRed)});
  }
  table.Print(output.out(), output.color());
}

void PrintLetter(const v1::DeadLetter& letter, const Output& output) {
  output.Print(letter, [&] {
    Details details;
    details.Add("Id", letter.task_id());
    details.Add("Type", letter.spec().type());
    details.Add("Queue", letter.spec().queue());
    details.Add("Priority", StrCat(letter.spec().priority()));
    details.Add("Payload", PayloadText(letter.spec().payload()));
    for (const auto& [name, value] : letter.spec().headers())
      details.Add("Header", StrCat(name, "=", value));
    details.Add("Created", TimeText(letter.create_time()));
    details.Add("Died", TimeText(letter.dead_time()));
    details.Add("Deliveries", StrCat(letter.attempt()));
    details.Add("Failures", StrCat(letter.failures()));
    details.Add("Crashes", StrCat(letter.crashes()));
    details.Add("Returns", StrCat(letter.returns()));
    details.Add("Failure", Cell(FailureText(letter.failure()), Style::kRed));
    for (const v1::TaskEvent& event : letter.history()) {
      details.Add(EventKindText(event.kind()),
                  StrCat(TimeText(event.time()), " #", event.attempt(), " ",
                         event.worker_id(), " ", FailureText(event.failure()),
                         event.detail()));
    }
    details.Print(output.out(), output.color());
    if (!letter.failure().stack().empty())
      *output.out() << "\n" << letter.failure().stack() << "\n";
  });
}

void PrintRedrive(const v1::Redrive& redrive, const Output& output) {
  output.Print(redrive, [&] {
    Details details;
    details.Add("Queue", redrive.queue());
    details.Add("State", StrCat(StateText(redrive.state()),
                                redrive.dry_run() ? " (dry run)" : ""));
    details.Add("Only type", redrive.filter().type());
    details.Add("Only failure", redrive.filter().failure_type());
    details.Add("Died after", TimeText(redrive.filter().dead_after()));
    details.Add("Died before", TimeText(redrive.filter().dead_before()));
    details.Add("To queue", redrive.target_queue());
    if (redrive.max_per_second() > 0)
      details.Add("Per second", StrCat(redrive.max_per_second()));
    details.Add("Matched", StrCat(redrive.matched()));
    details.Add("Redriven", StrCat(redrive.redriven()));
    details.Add("Refused", StrCat(redrive.refused()));
    details.Add("Last refusal", redrive.last_refusal());
    details.Add("Started", TimeText(redrive.start_time()));
    details.Add("Ended", TimeText(redrive.end_time()));
    details.Print(output.out(), output.color());
  });
}

void AddQueue(CLI::App* command, std::string* queue) {
  command->add_option("--queue", *queue, "Queue that keeps them [default]")
      ->type_name("NAME");
}

absl::StatusOr<DeadLetterClient*> LettersOf(const std::string& queue,
                                            Session* session) {
  if (!queue.empty())
    APIUM_RETURN_IF_ERROR(ValidateQueueName("--queue", queue));
  return session->dead_letters(queue);
}

struct FilterFlags {
  std::string type;
  std::string failure_type;
  std::optional<absl::Time> after;
  std::optional<absl::Time> before;
};

void AddFilter(CLI::App* command, FilterFlags* flags) {
  command->add_option("--type", flags->type, "Only tasks of this type")
      ->type_name("TYPE");
  command
      ->add_option("--failure", flags->failure_type,
                   "Only this kind of failure, as the list shows it")
      ->type_name("KIND");
  AddTime(command, "--after", &flags->after, "Only what died at or after this");
  AddTime(command, "--before", &flags->before, "Only what died before this");
}

v1::DeadLetterFilter FilterOf(const FilterFlags& flags) {
  v1::DeadLetterFilter filter;
  filter.set_type(flags.type);
  filter.set_failure_type(flags.failure_type);
  if (flags.after) TimeToProto(*flags.after, filter.mutable_dead_after());
  if (flags.before) TimeToProto(*flags.before, filter.mutable_dead_before());
  return filter;
}

void AddList(CLI::App* parent, Session* session) {
  struct Flags {
    std::string queue;
    FilterFlags filter;
    uint32_t limit = kPageSizeDefault;
  };
  CLI::App* list = parent->add_subcommand("list", "List dead letters");
  const auto flags = std::make_shared<Flags>();
  AddQueue(list, &flags->queue);
  AddFilter(list, &flags->filter);
  list->add_option("--limit", flags->limit, "At most so many [100]")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  list->footer(
      "Example:\n  apium dead-letter list --queue mail --failure Boom");
  session->SetCommand(list, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->queue, session));
    v1::ListDeadLettersResponse all;
    std::string page_token;
    do {
      const uint32_t wanted =
          flags->limit - static_cast<uint32_t>(all.dead_letters_size());
      APIUM_ASSIGN_OR_RETURN(
          v1::ListDeadLettersResponse page,
          letters->List(FilterOf(flags->filter),
                        std::min<uint32_t>(wanted, kPageSizeMax), page_token));
      for (v1::DeadLetter& letter : *page.mutable_dead_letters())
        all.add_dead_letters()->Swap(&letter);
      page_token = page.next_page_token();
    } while (!page_token.empty() &&
             static_cast<uint32_t>(all.dead_letters_size()) < flags->limit);
    session->output().Print(all,
                            [&] { PrintLetterTable(all, session->output()); });
    return kExitOk;
  });
}

struct LetterFlags {
  std::string queue;
  std::string task_id;
};

void AddLetter(CLI::App* command, LetterFlags* flags) {
  command->add_option("id", flags->task_id, "Id of the task")
      ->required()
      ->type_name("ID");
  AddQueue(command, &flags->queue);
}

void AddGet(CLI::App* parent, Session* session) {
  CLI::App* get = parent->add_subcommand(
      "get", "Show a dead letter with its payload and history");
  const auto flags = std::make_shared<LetterFlags>();
  AddLetter(get, flags.get());
  session->SetCommand(get, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags->task_id));
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->queue, session));
    APIUM_ASSIGN_OR_RETURN(const v1::DeadLetter letter,
                           letters->Get(flags->task_id));
    PrintLetter(letter, session->output());
    return kExitOk;
  });
}

struct RedriveFlags {
  LetterFlags letter;
  PayloadOptions payload;
  std::string type;
  std::string target_queue;
  std::optional<uint32_t> priority;
  std::optional<uint32_t> attempts_max;
};

absl::StatusOr<v1::RedriveDeadLetterRequest> EditsOf(const RedriveFlags& flags,
                                                     Session* session) {
  v1::RedriveDeadLetterRequest edits;
  edits.set_type(flags.type);
  edits.set_target_queue(flags.target_queue);
  if (flags.priority) edits.set_priority(*flags.priority);
  if (flags.attempts_max)
    edits.mutable_retry_policy()->set_max_attempts(*flags.attempts_max);
  const bool edits_payload =
      flags.payload.payload || flags.payload.payload_file;
  if (edits_payload) {
    APIUM_ASSIGN_OR_RETURN(
        *edits.mutable_payload(),
        MakePayload(flags.payload, session->environment().in));
  }
  return edits;
}

void AddRedrive(CLI::App* parent, Session* session) {
  CLI::App* redrive = parent->add_subcommand(
      "redrive", "Submit one again, edited if wanted, and print the new id");
  const auto flags = std::make_shared<RedriveFlags>();
  AddLetter(redrive, &flags->letter);
  CLI::Option* payload =
      redrive
          ->add_option("--payload", flags->payload.payload,
                       "Other payload; - reads it from the standard input")
          ->type_name("TEXT");
  redrive
      ->add_option("--payload-file", flags->payload.payload_file,
                   "Other payload, from a file")
      ->excludes(payload)
      ->type_name("FILE");
  redrive
      ->add_option("--content-type", flags->payload.content_type,
                   "Of the other payload [guessed]")
      ->type_name("TYPE");
  redrive->add_option("--type", flags->type, "Other type")->type_name("TYPE");
  redrive->add_option("--to", flags->target_queue, "Other queue")
      ->type_name("NAME");
  redrive->add_option("--priority", flags->priority, "Other priority")
      ->check(CLI::Range(0, 255))
      ->type_name("NUMBER");
  redrive
      ->add_option("--max-attempts", flags->attempts_max,
                   "Other retry policy: so many attempts, and else defaults")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  redrive->footer(
      "Example:\n"
      "  apium dead-letter redrive 0190... --queue mail --payload '{\"args\": "
      "[\"good\"]}'");
  session->SetCommand(redrive, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags->letter.task_id));
    APIUM_ASSIGN_OR_RETURN(v1::RedriveDeadLetterRequest edits,
                           EditsOf(*flags, session));
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->letter.queue, session));
    v1::RedriveDeadLetterResponse response;
    APIUM_ASSIGN_OR_RETURN(
        *response.mutable_task_id(),
        letters->Redrive(flags->letter.task_id, std::move(edits)));
    session->output().Print(response, [&] {
      *session->output().out() << response.task_id() << "\n";
    });
    return kExitOk;
  });
}

void AddDiscard(CLI::App* parent, Session* session) {
  CLI::App* discard = parent->add_subcommand("discard", "Delete a dead letter");
  const auto flags = std::make_shared<LetterFlags>();
  AddLetter(discard, flags.get());
  session->SetCommand(discard, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags->task_id));
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->queue, session));
    APIUM_RETURN_IF_ERROR(letters->Discard(flags->task_id));
    session->output().Print(v1::DiscardDeadLetterResponse(), [&] {
      session->output().Note(
          StrCat("discarded the dead letter of ", flags->task_id));
    });
    return kExitOk;
  });
}

void AddPurge(CLI::App* parent, Session* session) {
  struct Flags {
    std::string queue;
    bool yes = false;
  };
  CLI::App* purge =
      parent->add_subcommand("purge", "Delete all dead letters of a queue");
  const auto flags = std::make_shared<Flags>();
  AddQueue(purge, &flags->queue);
  purge->add_flag("-y,--yes", flags->yes,
                  "Do not ask; needed where there is no terminal");
  session->SetCommand(purge, [flags, session]() -> absl::StatusOr<int> {
    const std::string name =
        flags->queue.empty() ? std::string(kDefaultQueue) : flags->queue;
    APIUM_ASSIGN_OR_RETURN(
        bool confirmed,
        session->Confirm(flags->yes, StrCat("Delete all dead letters of the "
                                            "queue ",
                                            name, "?")));
    if (!confirmed) return kExitError;
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->queue, session));
    v1::PurgeDeadLettersResponse response;
    APIUM_ASSIGN_OR_RETURN(const uint64_t purged, letters->Purge());
    response.set_purged(purged);
    session->output().Print(response, [&] {
      if (session->output().quiet()) {
        *session->output().out() << purged << "\n";
      } else {
        *session->output().out() << "deleted " << purged << " dead letters\n";
      }
    });
    return kExitOk;
  });
}

void AddRedriveAll(CLI::App* parent, Session* session) {
  struct Flags {
    std::string queue;
    FilterFlags filter;
    RedriveOptions options;
  };
  CLI::App* all = parent->add_subcommand(
      "redrive-all",
      "Begin to submit again all that match; it goes on by "
      "itself, see `status`");
  const auto flags = std::make_shared<Flags>();
  AddQueue(all, &flags->queue);
  AddFilter(all, &flags->filter);
  all->add_option("--rate", flags->options.max_per_second,
                  "At most so many tasks per second [no limit]")
      ->check(CLI::Range(0.0, 1'000'000.0))
      ->type_name("NUMBER");
  all->add_option("--to", flags->options.target_queue,
                  "Other queue that they go to")
      ->type_name("NAME");
  all->add_flag("--dry-run", flags->options.dry_run, "Only count what matches");
  all->footer(
      "Examples:\n"
      "  apium dead-letter redrive-all --queue mail --failure Boom --dry-run\n"
      "  apium dead-letter redrive-all --queue mail --rate 10");
  session->SetCommand(all, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                           LettersOf(flags->queue, session));
    flags->options.filter = FilterOf(flags->filter);
    APIUM_ASSIGN_OR_RETURN(const v1::Redrive redrive,
                           letters->StartRedrive(flags->options));
    PrintRedrive(redrive, session->output());
    return kExitOk;
  });
}

// A command about the latest redrive of a queue.
void AddByQueue(CLI::App* parent, Session* session, const std::string& name,
                const std::string& description,
                absl::StatusOr<v1::Redrive> (DeadLetterClient::*method)()) {
  CLI::App* command = parent->add_subcommand(name, description);
  const auto queue = std::make_shared<std::string>();
  AddQueue(command, queue.get());
  session->SetCommand(
      command, [queue, session, method]() -> absl::StatusOr<int> {
        APIUM_ASSIGN_OR_RETURN(DeadLetterClient * letters,
                               LettersOf(*queue, session));
        APIUM_ASSIGN_OR_RETURN(const v1::Redrive redrive, (letters->*method)());
        PrintRedrive(redrive, session->output());
        return kExitOk;
      });
}

}  // namespace

void AddDeadLetterCommands(CLI::App* app, Session* session) {
  CLI::App* parent = app->add_subcommand(
      "dead-letter",
      "Tasks that used up their attempts: look at them, submit them again, "
      "delete them");
  parent->require_subcommand(1);
  AddList(parent, session);
  AddGet(parent, session);
  AddRedrive(parent, session);
  AddDiscard(parent, session);
  AddPurge(parent, session);
  AddRedriveAll(parent, session);
  AddByQueue(parent, session, "status", "Show the latest `redrive-all`",
             &DeadLetterClient::GetRedrive);
  AddByQueue(parent, session, "cancel",
             "Stop a `redrive-all`; what it submitted stays",
             &DeadLetterClient::CancelRedrive);
}

}  // namespace apium::cli
