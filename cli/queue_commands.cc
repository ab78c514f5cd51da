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
#include "cli/queue_settings_options.h"
#include "cli/queue_text.h"
#include "cli/session.h"
#include "cli/task_text.h"
#include "cli/wait_reason_text.h"
#include "client/queue_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

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
    bool paused = false;
    bool closed = false;
    bool dead_letter = false;
    bool broadcast = false;
    QueueSettingsFlags settings;
  };
  CLI::App* create = queue->add_subcommand("create", "Make a queue");
  const auto flags = std::make_shared<Flags>();
  create->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  create->add_flag("--paused", flags->paused,
                   "Dispatch nothing until it is resumed");
  create->add_flag("--closed", flags->closed, "Refuse submits");
  create->add_flag("--dead-letter", flags->dead_letter,
                   "Keep tasks that used up their attempts; see `apium "
                   "dead-letter`");
  create->add_flag("--broadcast", flags->broadcast,
                   "Each task becomes one for every worker that takes from it");
  AddQueueSettingsOptions(create, &flags->settings);
  create->footer(
      "Examples:\n"
      "  apium queue create mail --description 'outgoing mail'\n"
      "  apium queue create images --weight 3 --max-length 100000 --overflow "
      "dead-letter-oldest --dead-letter");
  session->SetCommand(create, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    v1::Queue queue;
    queue.set_name(flags->name);
    queue.set_paused(flags->paused);
    queue.set_submit_paused(flags->closed);
    queue.set_dead_letter(flags->dead_letter);
    queue.set_broadcast(flags->broadcast);
    ApplyQueueSettings(flags->settings, &queue);
    APIUM_ASSIGN_OR_RETURN(queue, queues->Create(std::move(queue)));
    PrintQueue(queue, session->output());
    return kExitOk;
  });
}

struct UpdateFlags {
  std::string name;
  std::optional<bool> paused;
  std::optional<bool> closed;
  std::optional<bool> dead_letter;
  bool clear_defaults = false;
  std::string etag;
  QueueSettingsFlags settings;
};

// Changes in `queue` what is given. The names of the fields that were changed.
std::vector<std::string> ApplyUpdate(const UpdateFlags& flags,
                                     v1::Queue* queue) {
  if (flags.clear_defaults) queue->clear_task_defaults();
  std::vector<std::string> paths = ApplyQueueSettings(flags.settings, queue);
  if (flags.clear_defaults) paths.push_back("task_defaults");
  if (flags.paused) {
    queue->set_paused(*flags.paused);
    paths.push_back("paused");
  }
  if (flags.closed) {
    queue->set_submit_paused(*flags.closed);
    paths.push_back("submit_paused");
  }
  if (flags.dead_letter) {
    queue->set_dead_letter(*flags.dead_letter);
    paths.push_back("dead_letter");
  }
  return paths;
}

absl::StatusOr<int> Update(const UpdateFlags& flags, Session* session) {
  APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags.name));
  APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
  v1::Queue queue;
  queue.set_name(flags.name);
  // The rest of such a field stays: read it, and write it back only if nobody
  // changed it meanwhile.
  if (ChangesParts(flags.settings)) {
    APIUM_ASSIGN_OR_RETURN(queue, queues->Get(flags.name));
  }
  if (!flags.etag.empty()) queue.set_etag(flags.etag);
  const std::vector<std::string> paths = ApplyUpdate(flags, &queue);
  if (paths.empty()) {
    return absl::InvalidArgumentError(
        "nothing to change: give --description, --paused, --closed, "
        "--dead-letter or another setting");
  }
  APIUM_ASSIGN_OR_RETURN(queue, queues->Update(std::move(queue), paths));
  PrintQueue(queue, session->output());
  return kExitOk;
}

void AddUpdate(CLI::App* queue, Session* session) {
  CLI::App* update =
      queue->add_subcommand("update", "Change the settings of a queue");
  const auto flags = std::make_shared<UpdateFlags>();
  update->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
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
  AddQueueSettingsOptions(update, &flags->settings);
  update->add_flag("--clear-defaults", flags->clear_defaults,
                   "Take back all defaults of its tasks that are not given "
                   "here");
  update->footer(
      "Examples:\n"
      "  apium queue update mail --closed true\n"
      "  apium queue update mail --fairness-weight acme=3 --default-priority "
      "50");
  session->SetCommand(update,
                      [flags, session] { return Update(*flags, session); });
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

void AddPause(CLI::App* queue, Session* session) {
  struct Flags {
    std::string name;
    QueuePauseOptions options;
  };
  CLI::App* pause = queue->add_subcommand(
      "pause", "Dispatch nothing from a queue until it is resumed");
  const auto flags = std::make_shared<Flags>();
  pause->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  pause->add_option("--by", flags->options.paused_by, "Who pauses it")
      ->type_name("TEXT");
  pause->add_option("--reason", flags->options.reason, "Why")
      ->type_name("TEXT");
  pause->footer(
      "Example:\n  apium queue pause mail --by \"$USER\" --reason 'SMTP is "
      "down'");
  session->SetCommand(pause, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_ASSIGN_OR_RETURN(const v1::Queue paused,
                           queues->Pause(flags->name, flags->options));
    PrintQueue(paused, session->output());
    return kExitOk;
  });
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

void AddPeek(CLI::App* queue, Session* session) {
  struct Flags {
    std::string name;
    uint32_t limit = 10;
  };
  CLI::App* peek = queue->add_subcommand(
      "peek", "List the tasks at the head of a queue, in order of dispatch");
  const auto flags = std::make_shared<Flags>();
  peek->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  peek->add_option("--limit", flags->limit, "At most so many tasks")
      ->check(CLI::Range(1, 100))
      ->type_name("NUMBER")
      ->capture_default_str();
  session->SetCommand(peek, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_ASSIGN_OR_RETURN(const v1::PeekQueueResponse head,
                           queues->Peek(flags->name, flags->limit));
    session->output().Print(
        head, [&] { PrintTaskTable(head.tasks(), session->output()); });
    return kExitOk;
  });
}

void AddExplain(CLI::App* queue, Session* session) {
  CLI::App* explain =
      queue->add_subcommand("explain", "Say why tasks of a queue wait, summed");
  const auto name = std::make_shared<std::string>();
  explain->add_option("name", *name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  session->SetCommand(explain, [name, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", *name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_ASSIGN_OR_RETURN(const v1::ExplainQueueResponse response,
                           queues->Explain(*name));
    session->output().Print(response, [&] {
      if (response.reasons().empty()) {
        session->output().Note(StrCat("nothing waits in ", *name));
      } else {
        PrintQueueReasons(response.reasons(), session->output());
      }
    });
    return kExitOk;
  });
}

void AddRelease(CLI::App* queue, Session* session) {
  struct Flags {
    std::string name;
    std::string ordering_key;
  };
  CLI::App* release = queue->add_subcommand(
      "release",
      "Let the tasks of an ordering key go on that a failed one blocked");
  const auto flags = std::make_shared<Flags>();
  release->add_option("name", flags->name, "Name of the queue")
      ->required()
      ->type_name("NAME");
  release->add_option("key", flags->ordering_key, "Ordering key")
      ->required()
      ->type_name("KEY");
  session->SetCommand(release, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(QueueClient * queues, session->queues());
    APIUM_RETURN_IF_ERROR(
        queues->ReleaseOrderingKey(flags->name, flags->ordering_key));
    session->output().Print(v1::ReleaseOrderingKeyResponse(), [&] {
      session->output().Note(
          StrCat("released ", QuoteForMessage(flags->ordering_key)));
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
  AddPause(queue, session);
  AddByName(queue, session, "resume", "End a pause", &QueueClient::Resume);
  AddPurge(queue, session);
  AddPeek(queue, session);
  AddExplain(queue, session);
  AddRelease(queue, session);
}

}  // namespace apium::cli
