#include "cli/batch_commands.h"

#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "apium/v1/batch_service.pb.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/batch_client.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string StateText(v1::BatchState state) {
  const std::string& name = v1::BatchState_Name(state);
  return std::string(StdView(absl::StripPrefix(name, "BATCH_STATE_")));
}

// "mail.done 0190..."; empty where there is no callback.
std::string CallbackText(const v1::TaskSpec& spec, const std::string& task_id) {
  if (spec.type().empty()) return task_id;
  if (task_id.empty()) return StrCat(spec.type(), " (not submitted)");
  return StrCat(spec.type(), " ", task_id);
}

void PrintBatch(const v1::Batch& batch, const Output& output) {
  output.Print(batch, [&] {
    if (output.quiet()) {
      *output.out() << batch.batch_id() << "\n";
      return;
    }
    Details details;
    details.Add("Id", batch.batch_id());
    details.Add("Description", batch.description());
    details.Add("State", StateText(batch.state()));
    details.Add("Members", StrCat(batch.members()));
    details.Add("Pending", StrCat(batch.pending()));
    details.Add("Succeeded", StrCat(batch.succeeded()));
    details.Add("Unsuccessful", StrCat(batch.unsuccessful()));
    details.Add("On success",
                CallbackText(batch.on_success(), batch.success_task_id()));
    details.Add("On complete",
                CallbackText(batch.on_complete(), batch.complete_task_id()));
    details.Add(
        "On first failure",
        CallbackText(batch.on_first_failure(), batch.first_failure_task_id()));
    details.Add("Created", TimeText(batch.create_time()));
    details.Add("Completed", TimeText(batch.complete_time()));
    details.Print(output.out(), output.color());
  });
}

void PrintBatchTable(
    const google::protobuf::RepeatedPtrField<v1::Batch>& batches,
    const Output& output) {
  if (output.quiet()) {
    for (const v1::Batch& batch : batches)
      *output.out() << batch.batch_id() << "\n";
    return;
  }
  Table table({{.name = "ID"},
               {.name = "STATE"},
               {.name = "MEMBERS", .align = Align::kRight},
               {.name = "PENDING", .align = Align::kRight},
               {.name = "SUCCEEDED", .align = Align::kRight},
               {.name = "UNSUCCESSFUL", .align = Align::kRight},
               {.name = "CREATED"},
               {.name = "DESCRIPTION"}});
  for (const v1::Batch& batch : batches) {
    table.AddRow({batch.batch_id(), StateText(batch.state()),
                  StrCat(batch.members()), StrCat(batch.pending()),
                  StrCat(batch.succeeded()),
                  Cell(StrCat(batch.unsuccessful()),
                       batch.unsuccessful() > 0 ? Style::kRed : Style::kPlain),
                  TimeText(batch.create_time()), batch.description()});
  }
  table.Print(output.out(), output.color());
}

// The type of a task, or a whole TaskSpec as JSON.
absl::Status TakeCallback(const std::string& option, const std::string& text,
                          v1::TaskSpec* spec) {
  if (text.front() != '{') {
    APIUM_RETURN_IF_ERROR(ValidateTaskType(option, text));
    spec->set_type(text);
    return absl::OkStatus();
  }
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, spec);
  if (parsed.ok()) return absl::OkStatus();
  return InvalidField(option, StrCat("is no TaskSpec in JSON: ",
                                     std::string(parsed.message())));
}

struct CreateFlags {
  std::string batch_id;
  std::string description;
  std::string on_success;
  std::string on_complete;
  std::string on_first_failure;
};

absl::StatusOr<v1::Batch> MakeBatch(const CreateFlags& flags) {
  v1::Batch batch;
  if (!flags.batch_id.empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskId("id", flags.batch_id));
  }
  batch.set_batch_id(flags.batch_id);
  batch.set_description(flags.description);
  if (!flags.on_success.empty()) {
    APIUM_RETURN_IF_ERROR(TakeCallback("--on-success", flags.on_success,
                                       batch.mutable_on_success()));
  }
  if (!flags.on_complete.empty()) {
    APIUM_RETURN_IF_ERROR(TakeCallback("--on-complete", flags.on_complete,
                                       batch.mutable_on_complete()));
  }
  if (!flags.on_first_failure.empty()) {
    APIUM_RETURN_IF_ERROR(TakeCallback("--on-first-failure",
                                       flags.on_first_failure,
                                       batch.mutable_on_first_failure()));
  }
  return batch;
}

void AddCreate(CLI::App* batch, Session* session) {
  CLI::App* create = batch->add_subcommand("create", "Make an open batch");
  const auto flags = std::make_shared<CreateFlags>();
  create
      ->add_option("id", flags->batch_id,
                   "Id of the batch; the same id and content again changes "
                   "nothing [minted]")
      ->type_name("ID");
  create->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  create
      ->add_option("--on-success", flags->on_success,
                   "Submit this once all members have succeeded: the type of a "
                   "task, or a TaskSpec as JSON")
      ->type_name("TYPE|JSON");
  create
      ->add_option("--on-complete", flags->on_complete,
                   "The same once all members have ended, however they did")
      ->type_name("TYPE|JSON");
  create
      ->add_option("--on-first-failure", flags->on_first_failure,
                   "The same when the first member did not succeed")
      ->type_name("TYPE|JSON");
  create->footer(
      "Examples:\n"
      "  apium batch create letters --on-complete mail.report\n"
      "  apium batch create --on-success '{\"type\": \"mail.done\", \"queue\": "
      "\"reports\"}'");
  session->SetCommand(create, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(v1::Batch wanted, MakeBatch(*flags));
    APIUM_ASSIGN_OR_RETURN(BatchClient * batches, session->batches());
    APIUM_ASSIGN_OR_RETURN(const v1::Batch made,
                           batches->Create(std::move(wanted)));
    PrintBatch(made, session->output());
    return kExitOk;
  });
}

// A command that takes a batch's id and prints the batch.
void AddById(
    CLI::App* batch, Session* session, const std::string& name,
    const std::string& description,
    absl::StatusOr<v1::Batch> (BatchClient::*method)(std::string_view)) {
  CLI::App* command = batch->add_subcommand(name, description);
  const auto batch_id = std::make_shared<std::string>();
  command->add_option("id", *batch_id, "Id of the batch")
      ->required()
      ->type_name("ID");
  session->SetCommand(
      command, [batch_id, session, method]() -> absl::StatusOr<int> {
        APIUM_RETURN_IF_ERROR(ValidateTaskId("id", *batch_id));
        APIUM_ASSIGN_OR_RETURN(BatchClient * batches, session->batches());
        APIUM_ASSIGN_OR_RETURN(const v1::Batch found,
                               (batches->*method)(*batch_id));
        PrintBatch(found, session->output());
        return kExitOk;
      });
}

void AddList(CLI::App* batch, Session* session) {
  CLI::App* list =
      batch->add_subcommand("list", "List the batches with their counts");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(BatchClient * batches, session->batches());
    v1::ListBatchesResponse all;
    std::string page_token;
    do {
      APIUM_ASSIGN_OR_RETURN(v1::ListBatchesResponse page,
                             batches->List(0, page_token));
      for (v1::Batch& found : *page.mutable_batches())
        all.add_batches()->Swap(&found);
      page_token = page.next_page_token();
    } while (!page_token.empty());
    session->output().Print(
        all, [&] { PrintBatchTable(all.batches(), session->output()); });
    return kExitOk;
  });
}

}  // namespace

void AddBatchCommands(CLI::App* app, Session* session) {
  CLI::App* batch = app->add_subcommand(
      "batch", "Groups of tasks: make, close and look at them");
  batch->require_subcommand(1);
  AddCreate(batch, session);
  AddById(batch, session, "close", "Let nobody join any more",
          &BatchClient::Close);
  AddById(batch, session, "get", "Show a batch with its counts",
          &BatchClient::Get);
  AddList(batch, session);
}

}  // namespace apium::cli
