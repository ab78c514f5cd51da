#include "cli/exchange_commands.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "apium/v1/routing_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/session.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "client/routing_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

// "topic"
std::string TypeText(v1::ExchangeType type) {
  const std::string& name = v1::ExchangeType_Name(type);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "EXCHANGE_TYPE_"));
}

void PrintExchange(const v1::Exchange& exchange, const Output& output) {
  output.Print(exchange, [&] {
    Details details;
    details.Add("Name", exchange.name());
    details.Add("Type", TypeText(exchange.type()));
    details.Add("Description", exchange.description());
    details.Add("Alternate", exchange.alternate_exchange());
    details.Add("Bindings", StrCat(exchange.bindings()));
    details.Add("Created", TimeText(exchange.create_time()));
    details.Add("Etag", exchange.etag());
    details.Print(output.out(), output.color());
  });
}

void PrintExchangeTable(const v1::ListExchangesResponse& page,
                        const Output& output) {
  if (output.quiet()) {
    for (const v1::Exchange& exchange : page.exchanges())
      *output.out() << exchange.name() << "\n";
    return;
  }
  Table table({{.name = "NAME"},
               {.name = "TYPE"},
               {.name = "BINDINGS", .align = Align::kRight},
               {.name = "ALTERNATE"},
               {.name = "DESCRIPTION"}});
  for (const v1::Exchange& exchange : page.exchanges()) {
    table.AddRow({exchange.name(), TypeText(exchange.type()),
                  StrCat(exchange.bindings()), exchange.alternate_exchange(),
                  exchange.description()});
  }
  table.Print(output.out(), output.color());
}

// "kind=mail, urgent (any)"
std::string HeadersText(const v1::Binding& binding) {
  // A protobuf map has no order of its own.
  const std::map<std::string, std::string> headers(binding.headers().begin(),
                                                   binding.headers().end());
  std::string text =
      absl::StrJoin(headers, ", ", [](std::string* out, const auto& header) {
        StrAppend(out, header.first, header.second.empty() ? "" : "=",
                  header.second);
      });
  if (binding.match_any()) text += " (any)";
  return text;
}

std::string DestinationText(const v1::Binding& binding) {
  return binding.queue().empty()
             ? StrCat("exchange ", binding.destination_exchange())
             : StrCat("queue ", binding.queue());
}

void PrintBindingTable(const v1::ListBindingsResponse& page,
                       const Output& output) {
  Table table({{.name = "EXCHANGE"},
               {.name = "TO"},
               {.name = "ROUTING KEY"},
               {.name = "HEADERS"}});
  for (const v1::Binding& binding : page.bindings()) {
    table.AddRow({binding.exchange(), DestinationText(binding),
                  binding.routing_key(), HeadersText(binding)});
  }
  table.Print(output.out(), output.color());
}

void AddName(CLI::App* command, std::string* name) {
  command->add_option("name", *name, "Name of the exchange")
      ->required()
      ->type_name("NAME");
}

void AddCreate(CLI::App* exchange, Session* session) {
  const auto made = std::make_shared<v1::Exchange>();
  CLI::App* create = exchange->add_subcommand("create", "Make an exchange");
  AddName(create, made->mutable_name());
  const std::map<std::string, int> types = {
      {"direct", v1::EXCHANGE_TYPE_DIRECT},
      {"topic", v1::EXCHANGE_TYPE_TOPIC},
      {"fanout", v1::EXCHANGE_TYPE_FANOUT},
      {"headers", v1::EXCHANGE_TYPE_HEADERS}};
  AddChoice(
      create, "--type", types,
      [made](int type) { made->set_type(static_cast<v1::ExchangeType>(type)); },
      "How it compares a task with its bindings")
      ->required();
  create
      ->add_option("--description", *made->mutable_description(), "For people")
      ->type_name("TEXT");
  create
      ->add_option("--alternate", *made->mutable_alternate_exchange(),
                   "Exchange that gets what matches no binding")
      ->type_name("NAME");
  create->footer("Example:\n  apium exchange create events --type topic");
  session->SetCommand(create, [made, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", made->name()));
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_ASSIGN_OR_RETURN(const v1::Exchange exchange,
                           routing->CreateExchange(*made));
    PrintExchange(exchange, session->output());
    return kExitOk;
  });
}

void AddGet(CLI::App* exchange, Session* session) {
  CLI::App* get = exchange->add_subcommand("get", "Show an exchange");
  const auto name = std::make_shared<std::string>();
  AddName(get, name.get());
  session->SetCommand(get, [name, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", *name));
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_ASSIGN_OR_RETURN(const v1::Exchange exchange,
                           routing->GetExchange(*name));
    PrintExchange(exchange, session->output());
    return kExitOk;
  });
}

void AddList(CLI::App* exchange, Session* session) {
  CLI::App* list = exchange->add_subcommand("list", "List the exchanges");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    v1::ListExchangesResponse all;
    std::string page_token;
    do {
      APIUM_ASSIGN_OR_RETURN(v1::ListExchangesResponse page,
                             routing->ListExchanges(0, page_token));
      for (v1::Exchange& listed : *page.mutable_exchanges())
        all.add_exchanges()->Swap(&listed);
      page_token = page.next_page_token();
    } while (!page_token.empty());
    session->output().Print(
        all, [&] { PrintExchangeTable(all, session->output()); });
    return kExitOk;
  });
}

void AddUpdate(CLI::App* exchange, Session* session) {
  struct Flags {
    std::string name;
    std::optional<std::string> description;
    std::optional<std::string> alternate;
    std::string etag;
  };
  CLI::App* update =
      exchange->add_subcommand("update", "Change the settings of an exchange");
  const auto flags = std::make_shared<Flags>();
  AddName(update, &flags->name);
  update->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  update
      ->add_option("--alternate", flags->alternate,
                   "Exchange that gets what matches no binding; '': none")
      ->type_name("NAME");
  update
      ->add_option("--etag", flags->etag,
                   "Only if the exchange is as it was when it had this etag")
      ->type_name("ETAG");
  update->footer("Example:\n  apium exchange update events --alternate rest");
  session->SetCommand(update, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    if (!flags->description && !flags->alternate) {
      return absl::InvalidArgumentError(
          "nothing to change: give --description or --alternate");
    }
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    // What is not given stays: with the etag of what was read.
    APIUM_ASSIGN_OR_RETURN(v1::Exchange changed,
                           routing->GetExchange(flags->name));
    if (flags->description) changed.set_description(*flags->description);
    if (flags->alternate) changed.set_alternate_exchange(*flags->alternate);
    if (!flags->etag.empty()) changed.set_etag(flags->etag);
    APIUM_ASSIGN_OR_RETURN(changed,
                           routing->UpdateExchange(std::move(changed)));
    PrintExchange(changed, session->output());
    return kExitOk;
  });
}

void AddDelete(CLI::App* exchange, Session* session) {
  struct Flags {
    std::string name;
    bool yes = false;
  };
  CLI::App* command = exchange->add_subcommand(
      "delete", "Delete an exchange with its bindings");
  const auto flags = std::make_shared<Flags>();
  AddName(command, &flags->name);
  command->add_flag("-y,--yes", flags->yes,
                    "Do not ask; needed where there is no terminal");
  session->SetCommand(command, [flags, session]() -> absl::StatusOr<int> {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("name", flags->name));
    APIUM_ASSIGN_OR_RETURN(
        const bool confirmed,
        session->Confirm(flags->yes, StrCat("Delete the exchange ", flags->name,
                                            " with its bindings?")));
    if (!confirmed) return kExitError;
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_RETURN_IF_ERROR(routing->DeleteExchange(flags->name));
    session->output().Print(v1::DeleteExchangeResponse(), [&] {
      session->output().Note(StrCat("deleted the exchange ", flags->name));
    });
    return kExitOk;
  });
}

struct BindingFlags {
  std::string exchange;
  std::string queue;
  std::string to_exchange;
  std::string routing_key;
  std::map<std::string, std::string> headers;
  bool match_any = false;
};

std::shared_ptr<BindingFlags> AddBindingOptions(CLI::App* command) {
  const auto flags = std::make_shared<BindingFlags>();
  command->add_option("exchange", flags->exchange, "Where the binding begins")
      ->required()
      ->type_name("EXCHANGE");
  CLI::Option* queue =
      command->add_option("--queue", flags->queue, "Queue that it leads to")
          ->type_name("NAME");
  command
      ->add_option("--to-exchange", flags->to_exchange,
                   "Exchange that it leads to")
      ->type_name("NAME")
      ->excludes(queue);
  command
      ->add_option("--routing-key", flags->routing_key,
                   "Key of a direct exchange, pattern of a topic exchange: "
                   "words between dots, * for one, # for none or more")
      ->type_name("KEY");
  AddPairs(command, "--header", &flags->headers,
           "Header that a task must have, of a headers exchange; NAME=: "
           "whatever its value; repeatable");
  command->add_flag("--match-any", flags->match_any,
                    "One of the headers is enough");
  return flags;
}

absl::StatusOr<v1::Binding> BindingOf(const BindingFlags& flags) {
  v1::Binding binding;
  binding.set_exchange(flags.exchange);
  if (!flags.queue.empty()) {
    binding.set_queue(flags.queue);
  } else if (!flags.to_exchange.empty()) {
    binding.set_destination_exchange(flags.to_exchange);
  } else {
    return absl::InvalidArgumentError("give --queue or --to-exchange");
  }
  binding.set_routing_key(flags.routing_key);
  binding.mutable_headers()->insert(flags.headers.begin(), flags.headers.end());
  binding.set_match_any(flags.match_any);
  return binding;
}

void AddBind(CLI::App* exchange, Session* session) {
  CLI::App* bind = exchange->add_subcommand(
      "bind", "Bind a queue or an exchange to an exchange");
  const auto flags = AddBindingOptions(bind);
  bind->footer(
      "Examples:\n"
      "  apium exchange bind events --queue mail --routing-key 'order.*.paid'\n"
      "  apium exchange bind all --queue mail --header kind=mail");
  session->SetCommand(bind, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(v1::Binding binding, BindingOf(*flags));
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_ASSIGN_OR_RETURN(binding, routing->CreateBinding(std::move(binding)));
    session->output().Print(binding, [&] {
      session->output().Note(StrCat("bound ", DestinationText(binding),
                                    " to exchange ", binding.exchange()));
    });
    return kExitOk;
  });
}

void AddUnbind(CLI::App* exchange, Session* session) {
  CLI::App* unbind = exchange->add_subcommand(
      "unbind", "Delete a binding, which is named by all that it says");
  const auto flags = AddBindingOptions(unbind);
  session->SetCommand(unbind, [flags, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(const v1::Binding binding, BindingOf(*flags));
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_RETURN_IF_ERROR(routing->DeleteBinding(binding));
    session->output().Print(v1::DeleteBindingResponse(), [&] {
      session->output().Note(StrCat("unbound ", DestinationText(binding),
                                    " from exchange ", binding.exchange()));
    });
    return kExitOk;
  });
}

void AddBindings(CLI::App* exchange, Session* session) {
  CLI::App* bindings = exchange->add_subcommand(
      "bindings", "List the bindings of an exchange, or of all");
  const auto name = std::make_shared<std::string>();
  bindings->add_option("exchange", *name, "Only of this exchange")
      ->type_name("EXCHANGE");
  session->SetCommand(bindings, [name, session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    v1::ListBindingsResponse all;
    std::string page_token;
    do {
      APIUM_ASSIGN_OR_RETURN(v1::ListBindingsResponse page,
                             routing->ListBindings(*name, 0, page_token));
      for (v1::Binding& binding : *page.mutable_bindings())
        all.add_bindings()->Swap(&binding);
      page_token = page.next_page_token();
    } while (!page_token.empty());
    session->output().Print(all,
                            [&] { PrintBindingTable(all, session->output()); });
    return kExitOk;
  });
}

}  // namespace

void AddExchangeCommands(CLI::App* app, Session* session) {
  CLI::App* exchange = app->add_subcommand(
      "exchange", "Exchanges, which find the queues of tasks by bindings");
  exchange->require_subcommand(1);
  AddCreate(exchange, session);
  AddGet(exchange, session);
  AddList(exchange, session);
  AddUpdate(exchange, session);
  AddDelete(exchange, session);
  AddBind(exchange, session);
  AddUnbind(exchange, session);
  AddBindings(exchange, session);
}

}  // namespace apium::cli
