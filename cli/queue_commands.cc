#include "cli/queue_commands.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apium/v1/queue_service.pb.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/queue_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string StateOf(const v1::Queue& queue) {
  if (queue.paused() && queue.submit_paused()) return "paused, closed";
  if (queue.paused()) return "paused";
  return queue.submit_paused() ? "closed" : "open";
}

std::string AgeText(const v1::QueueCounts& counts) {
  if (!counts.has_oldest_ready_age()) return "";
  const absl::Duration age =
      absl::Seconds(counts.oldest_ready_age().seconds()) +
      absl::Nanoseconds(counts.oldest_ready_age().nanos());
  return absl::FormatDuration(absl::Trunc(
      age, age < absl::Seconds(10) ? absl::Milliseconds(1) : absl::Seconds(1)));
}

void PrintQueueTable(
    const google::protobuf::RepeatedPtrField<v1::Queue>& queues,
    const Output& output) {
  if (output.quiet()) {
    for (const v1::Queue& queue : queues) *output.out() << queue.name() << "\n";
    return;
  }
  Table table({{.name = "NAME"},
               {.name = "STATE"},
               {.name = "READY", .align = Align::kRight},
               {.name = "SCHEDULED", .align = Align::kRight},
               {.name = "LEASED", .align = Align::kRight},
               {.name = "DEAD", .align = Align::kRight},
               {.name = "WORKERS", .align = Align::kRight},
               {.name = "OLDEST", .align = Align::kRight}});
  for (const v1::Queue& queue : queues) {
    const v1::QueueCounts& counts = queue.counts();
    table.AddRow(
        {queue.name(),
         Cell(StateOf(queue), queue.paused() ? Style::kYellow : Style::kPlain),
         StrCat(counts.ready()), StrCat(counts.scheduled()),
         StrCat(counts.leased()), StrCat(counts.dead_letters()),
         StrCat(counts.workers()), AgeText(counts)});
  }
  table.Print(output.out(), output.color());
}

void PrintQueue(const v1::Queue& queue, const Output& output) {
  output.Print(queue, [&] {
    Details details;
    details.Add("Name", queue.name());
    details.Add("Description", queue.description());
    details.Add("State", StateOf(queue));
    details.Add("Ready", StrCat(queue.counts().ready()));
    details.Add("Scheduled", StrCat(queue.counts().scheduled()));
    details.Add("Leased", StrCat(queue.counts().leased()));
    if (queue.dead_letter() || queue.counts().dead_letters() > 0)
      details.Add("Dead letters",
                  StrCat(queue.counts().dead_letters(),
                         queue.dead_letter() ? "" : " (no more are kept)"));
    details.Add("Workers", StrCat(queue.counts().workers()));
    details.Add("Oldest", AgeText(queue.counts()));
    details.Add("Created", TimeText(queue.create_time()));
    details.Add("Etag", queue.etag());
    details.Print(output.out(), output.color());
  });
}

void AddList(CLI::App* queue, Session* session) {
  CLI::App* list =
      queue->add_subcommand("list", "List the queues with their counts");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    v1::ListQueuesResponse all;
    std::string page_token;
    do {
      APIUM_ASSIGN_OR_RETURN(v1::ListQueuesResponse page,
                             queues->List(0, page_token));
      for (v1::Queue& queue : *page.mutable_queues())
        all.add_queues()->Swap(&queue);
      page_token = page.next_page_token();
    } while (!page_token.empty());
    session->output().Print(
        all, [&] { PrintQueueTable(all.queues(), session->output()); });
    return kExitOk;
  });
}

void AddCreate(CLI::App* queue, Session* session) {
  struct Flags {
    std::string name;
    std::string description;
    bool paused = false;
    bool closed = false;
    bool dead_letter = false;
  };
  CLI::App* create = queue->add_subcommand("create", "Make a queue");
  const auto flags = std::make_shared<Flags>();
  create->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  create->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  create->add_flag("--paused", flags->paused,
                   "Dispatch nothing until it is resumed");
  create->add_flag("--closed", flags->closed, "Refuse submits");
  create->add_flag("--dead-letter", flags->dead_letter,
                   "Keep tasks that used up their attempts; see `apium "
                   "dead-letter`");
  create->footer(
      "Example:\n  apium queue create mail --description 'outgoing mail'");
  session->SetCommand(create, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    v1::Queue queue;
    queue.set_name(flags->name);
    queue.set_description(flags->description);
    queue.set_paused(flags->paused);
    queue.set_submit_paused(flags->closed);
    queue.set_dead_letter(flags->dead_letter);
    APIUM_ASSIGN_OR_RETURN(queue, queues->Create(std::move(queue)));
    PrintQueue(queue, session->output());
    return kExitOk;
  });
}

void AddUpdate(CLI::App* queue, Session* session) {
  struct Flags {
    std::string name;
    std::optional<std::string> description;
    std::optional<bool> paused;
    std::optional<bool> closed;
    std::optional<bool> dead_letter;
    std::string etag;
  };
  CLI::App* update =
      queue->add_subcommand("update", "Change the settings of a queue");
  const auto flags = std::make_shared<Flags>();
  update->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  update->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  update->add_option("--paused", flags->paused, "Whether nothing is dispatched")
      ->type_name("true|false");
  update->add_option("--closed", flags->closed, "Whether submits are refused")
      ->type_name("true|false");
  update
      ->add_option("--dead-letter", flags->dead_letter,
                   "Whether tasks that used up their attempts are kept")
      ->type_name("true|false");
  update
      ->add_option("--etag", flags->etag,
                   "Only if the queue is as it was when it had this etag")
      ->type_name("ETAG");
  update->footer("Example:\n  apium queue update mail --closed true");
  session->SetCommand(update, [flags, session]() -> absl::StatusOr<int> {
    v1::Queue queue;
    queue.set_name(flags->name);
    queue.set_etag(flags->etag);
    std::vector<std::string> paths;
    if (flags->description) {
      queue.set_description(*flags->description);
      paths.push_back("description");
    }
    if (flags->paused) {
      queue.set_paused(*flags->paused);
      paths.push_back("paused");
    }
    if (flags->closed) {
      queue.set_submit_paused(*flags->closed);
      paths.push_back("submit_paused");
    }
    if (flags->dead_letter) {
      queue.set_dead_letter(*flags->dead_letter);
      paths.push_back("dead_letter");
    }
    if (paths.empty()) {
      return absl::InvalidArgumentError(
          "nothing to change: give --description, --paused, --closed or "
          "--dead-letter");
    }
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_ASSIGN_OR_RETURN(queue, queues->Update(std::move(queue), paths));
    PrintQueue(queue, session->output());
    return kExitOk;
  });
}

// A command that takes a queue's name and prints the queue.
void AddByName(
    CLI::App* queue, Session* session, const std::string& name,
    const std::string& description,
    absl::StatusOr<v1::Queue> (QueueClient::*method)(std::string_view)) {
  CLI::App* command = queue->add_subcommand(name, description);
  const auto queue_name = std::make_shared<std::string>();
  command->add_option("name", *queue_name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  session->SetCommand(
      command, [queue_name, session, method]() -> absl::StatusOr<int> {
        APIUM_RETURN_IF_ERROR(ValidateQueueName("name", *queue_name));
        APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
        APIUM_ASSIGN_OR_RETURN(v1::Queue queue, (queues->*method)(*queue_name));
        PrintQueue(queue, session->output());
        return kExitOk;
      });
}

struct DangerousFlags {
  std::string name;
  bool yes = false;
};

// A command that takes a queue's name and wants to be confirmed.
std::shared_ptr<DangerousFlags> AddDangerous(CLI::App* command) {
  const auto flags = std::make_shared<DangerousFlags>();
  command->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  command->add_flag("-y,--yes", flags->yes,
                    "Do not ask; needed where there is no terminal");
  return flags;
}

void AddDelete(CLI::App* queue, Session* session) {
  CLI::App* command = queue->add_subcommand("delete", "Delete an empty queue");
  const auto flags = AddDangerous(command);
  session->SetCommand(command, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(
        bool confirmed, session->Confirm(flags->yes, StrCat("Delete the queue ",
                                                            flags->name, "?")));
    if (!confirmed) return kExitError;
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_RETURN_IF_ERROR(queues->Delete(flags->name));
    session->output().Print(v1::DeleteQueueResponse(), [&] {
      session->output().Note(StrCat("deleted the queue ", flags->name));
    });
    return kExitOk;
  });
}

void AddPurge(CLI::App* queue, Session* session) {
  CLI::App* command = queue->add_subcommand(
      "purge", "Cancel every task that waits in a queue; what runs goes on");
  const auto flags = AddDangerous(command);
  session->SetCommand(command, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(
        bool confirmed,
        session->Confirm(flags->yes,
                         StrCat("Cancel every task that waits in the queue ",
                                flags->name, "?")));
    if (!confirmed) return kExitError;
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_ASSIGN_OR_RETURN(uint64_t purged, queues->Purge(flags->name));
    v1::PurgeQueueResponse response;
    response.set_purged(purged);
    session->output().Print(response, [&] {
      if (session->output().quiet()) {
        *session->output().out() << purged << "\n";
      } else {
        *session->output().out() << "cancelled " << purged << " tasks\n";
      }
    });
    return kExitOk;
  });
}

}  // namespace

void AddQueueCommands(CLI::App* app, Session* session) {
  CLI::App* queue = app->add_subcommand(
      "queue", "Look at queues, make, change, pause and empty them");
  queue->require_subcommand(1);
  AddList(queue, session);
  AddByName(queue, session, "get", "Show a queue", &QueueClient::Get);
  AddCreate(queue, session);
  AddUpdate(queue, session);
  AddDelete(queue, session);
  AddByName(queue, session, "pause",
            "Dispatch nothing from a queue until it is resumed",
            &QueueClient::Pause);
  AddByName(queue, session, "resume", "End a pause", &QueueClient::Resume);
  AddPurge(queue, session);
}

}  // namespace apium::cli
