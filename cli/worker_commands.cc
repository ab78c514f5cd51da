#include "cli/worker_commands.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "apium/v1/worker_service.pb.h"
#include "cli/exit_code.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/worker_admin.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

Cell StateCell(const v1::Worker& worker) {
  if (!worker.connected()) return Cell("lost", Style::kRed);
  if (worker.draining()) return Cell("draining", Style::kYellow);
  return Cell("connected", Style::kGreen);
}

void PrintWorkerTable(
    const google::protobuf::RepeatedPtrField<v1::Worker>& workers,
    const Output& output) {
  if (output.quiet()) {
    for (const v1::Worker& worker : workers)
      *output.out() << worker.worker_id() << "\n";
    return;
  }
  Table table({{.name = "WORKER"},
               {.name = "STATE"},
               {.name = "LEASES", .align = Align::kRight},
               {.name = "SLOTS", .align = Align::kRight},
               {.name = "QUEUES"},
               {.name = "TYPES", .align = Align::kRight},
               {.name = "VERSION"},
               {.name = "LAST SEEN"}});
  for (const v1::Worker& worker : workers) {
    table.AddRow({worker.worker_id(), StateCell(worker),
                  StrCat(worker.leases()), StrCat(worker.slots()),
                  absl::StrJoin(worker.queues(), ","),
                  StrCat(worker.task_types_size()), worker.version(),
                  TimeText(worker.last_seen_time())});
  }
  table.Print(output.out(), output.color());
}

}  // namespace

void AddWorkerCommands(CLI::App* app, Session* session) {
  CLI::App* worker =
      app->add_subcommand("worker", "Look at workers and drain them");
  worker->require_subcommand(1);

  CLI::App* list = worker->add_subcommand(
      "list", "List the workers that are connected or were a moment ago");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(WorkerAdmin * workers, session->workers());
    APIUM_ASSIGN_OR_RETURN(v1::ListWorkersResponse response, workers->List());
    session->output().Print(response, [&] {
      PrintWorkerTable(response.workers(), session->output());
    });
    return kExitOk;
  });

  CLI::App* drain = worker->add_subcommand(
      "drain",
      "Tell workers to take no more tasks, finish what they hold, and leave");
  const auto ids = std::make_shared<std::vector<std::string>>();
  drain->add_option("workers", *ids, "Ids of the workers")
      ->required()
      ->type_name("WORKER");
  drain->footer("Example:\n  apium worker list -q | xargs apium worker drain");
  session->SetCommand(drain, [ids, session]() -> absl::StatusOr<int> {
    for (const std::string& id : *ids)
      APIUM_RETURN_IF_ERROR(ValidateWorkerId("worker", id));
    APIUM_ASSIGN_OR_RETURN(WorkerAdmin * workers, session->workers());
    for (const std::string& id : *ids) {
      APIUM_RETURN_IF_ERROR(workers->Drain(id));
      session->output().Note(StrCat("told ", id, " to drain"));
    }
    return kExitOk;
  });
}

}  // namespace apium::cli
