#include "cli/server_commands.h"

#include <google/protobuf/struct.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "apium/v1/server_service.pb.h"
#include "cli/exit_code.h"
#include "cli/server_dev.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/connection.h"
#include "client/server_client.h"
#include "common/error_reason.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

// A probe should not hang for long on a host that does not answer.
constexpr absl::Duration kCheckTimeout = absl::Seconds(5);
constexpr char kBroker[] = "broker";
constexpr char kResults[] = "results";

struct CheckedServer {
  std::string name;
  std::string address;
  std::string version;
  absl::Status status;
};

const std::string& AddressOf(const std::string& name,
                             const GlobalOptions& options) {
  return name == kBroker ? options.address : options.results_address;
}

// It serves, knows the namespace, and is what its address promises.
absl::Status CheckServer(const std::string& name, Session* session,
                         std::string* version) {
  const GlobalOptions& options = session->options();
  APIUM_ASSIGN_OR_RETURN(
      std::shared_ptr<Connection> connection,
      session->Connect(AddressOf(name, options),
                       options.timeout.value_or(kCheckTimeout)));
  ServerClient server(std::move(connection));
  APIUM_RETURN_IF_ERROR(server.CheckHealth());
  APIUM_ASSIGN_OR_RETURN(v1::ServerInfo info, server.Info());
  *version = info.version();
  const std::string expected = StrCat("apium-", name);
  if (info.service() != expected) {
    return absl::FailedPreconditionError(
        StrCat("this is ", info.service(), ", not ", expected));
  }
  for (const std::string& known : info.namespaces()) {
    if (known == options.namespace_name) return absl::OkStatus();
  }
  return WithReason(absl::NotFoundError(StrCat(
                        "it has no namespace ", options.namespace_name,
                        "; it has ", absl::StrJoin(info.namespaces(), ", "))),
                    reason::kNamespaceNotFound);
}

google::protobuf::Struct ToStruct(const std::vector<CheckedServer>& servers) {
  google::protobuf::Struct report;
  google::protobuf::ListValue* list =
      (*report.mutable_fields())["servers"].mutable_list_value();
  for (const CheckedServer& server : servers) {
    auto& fields =
        *list->add_values()->mutable_struct_value()->mutable_fields();
    fields["server"].set_string_value(server.name);
    fields["address"].set_string_value(server.address);
    fields["ok"].set_bool_value(server.status.ok());
    if (!server.version.empty())
      fields["version"].set_string_value(server.version);
    if (server.status.ok()) continue;
    fields["code"].set_string_value(
        absl::StatusCodeToString(server.status.code()));
    fields["message"].set_string_value(std::string(server.status.message()));
  }
  return report;
}

absl::StatusOr<int> Check(const std::vector<std::string>& names,
                          Session* session) {
  std::vector<CheckedServer> servers;
  int exit_code = kExitOk;
  for (const std::string& name : names) {
    CheckedServer server = {.name = name,
                            .address = AddressOf(name, session->options())};
    server.status = CheckServer(name, session, &server.version);
    if (exit_code == kExitOk) exit_code = ExitCodeFor(server.status);
    servers.push_back(std::move(server));
  }
  session->output().Print(ToStruct(servers), [&] {
    if (session->output().quiet()) return;
    Table table({{.name = "SERVER"},
                 {.name = "ADDRESS"},
                 {.name = "HEALTH"},
                 {.name = "VERSION"},
                 {.name = "DETAIL"}});
    for (const CheckedServer& server : servers) {
      table.AddRow({server.name, server.address,
                    server.status.ok() ? Cell("ok", Style::kGreen)
                                       : Cell("failed", Style::kRed),
                    server.version, std::string(server.status.message())});
    }
    table.Print(session->output().out(), session->output().color());
  });
  return exit_code;
}

void AddCheck(CLI::App* server, Session* session) {
  CLI::App* check =
      server->add_subcommand("check",
                             "Check that the servers are up and healthy; the "
                             "exit code tells, as for a probe");
  const auto names = std::make_shared<std::vector<std::string>>();
  check->add_option("servers", *names, "What to check [both]")
      ->check(CLI::IsMember({kBroker, kResults}).description(""))
      ->type_name("broker|results");
  check->footer(
      "Examples:\n  apium server check\n  apium server check broker --address "
      "broker:7450 --timeout 2s -q");
  session->SetCommand(check, [names, session] {
    return Check(
        names->empty() ? std::vector<std::string>{kBroker, kResults} : *names,
        session);
  });
}

void PrintServerInfo(const v1::ServerInfo& info, const Output& output) {
  Details details;
  details.Add("Service", info.service());
  details.Add("Version", info.version());
  details.Add("Since", TimeText(info.start_time()));
  details.Add("Its clock", TimeText(info.server_time()));
  details.Add("Shard", info.shard_id());
  details.Add("Namespaces", absl::StrJoin(info.namespaces(), ", "));
  details.Add("Payload limit",
              StrCat(info.limits().max_payload_bytes(), " bytes"));
  details.Add("Message limit",
              StrCat(info.limits().max_message_bytes(), " bytes"));
  details.Add("Batch limit", StrCat(info.limits().max_batch_tasks(), " tasks"));
  details.Add("Capabilities", absl::StrJoin(info.capabilities(), ", "));
  details.Print(output.out(), output.color());
}

void AddInfo(CLI::App* server, Session* session) {
  CLI::App* info = server->add_subcommand(
      "info", "Show the version, limits and capabilities of a server");
  const auto name = std::make_shared<std::string>(kBroker);
  info->add_option("server", *name, "Which server")
      ->check(CLI::IsMember({kBroker, kResults}).description(""))
      ->type_name("broker|results")
      ->capture_default_str();
  session->SetCommand(info, [name, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(
        std::shared_ptr<Connection> connection,
        session->Connect(AddressOf(*name, session->options()),
                         session->options().timeout.value_or(kCheckTimeout)));
    APIUM_ASSIGN_OR_RETURN(v1::ServerInfo info,
                           ServerClient(std::move(connection)).Info());
    session->output().Print(info,
                            [&] { PrintServerInfo(info, session->output()); });
    return kExitOk;
  });
}

}  // namespace

void AddServerCommands(CLI::App* app, Session* session) {
  CLI::App* server = app->add_subcommand(
      "server", "Check servers, and run a platform on this machine");
  server->require_subcommand(1);
  AddCheck(server, session);
  AddInfo(server, session);
  AddServerDevCommand(server, session);
}

}  // namespace apium::cli
