#include "cli/route_commands.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apium/v1/routing_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/placement_options.h"
#include "cli/session.h"
#include "cli/table.h"
#include "client/routing_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

void PrintRules(const v1::GetRouteRulesResponse& rules, const Output& output) {
  output.Print(rules, [&] {
    Table table({{.name = "TYPES"}, {.name = "QUEUE"}});
    for (const v1::RouteRule& rule : rules.rules())
      table.AddRow({rule.type_pattern(), rule.queue()});
    table.Print(output.out(), output.color());
    output.Note(StrCat("etag ", rules.etag()));
  });
}

// "GLOB=QUEUE"
absl::StatusOr<v1::RouteRule> RuleOf(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return absl::InvalidArgumentError(
        StrCat(QuoteForMessage(text),
               " is not of the form GLOB=QUEUE, such as 'mail.*=mail'"));
  }
  v1::RouteRule rule;
  rule.set_type_pattern(text.substr(0, equals));
  rule.set_queue(text.substr(equals + 1));
  return rule;
}

void AddSet(CLI::App* route, Session* session) {
  struct Flags {
    std::vector<std::string> rules;
    bool none = false;
    std::string etag;
  };
  CLI::App* set = route->add_subcommand(
      "set",
      "Replace all rules: the first that matches a task's type names "
      "its queue");
  const auto flags = std::make_shared<Flags>();
  CLI::Option* rules =
      set->add_option("rules", flags->rules,
                      "In order; * and ? stand for others in a type")
          ->type_name("GLOB=QUEUE");
  set->add_flag("--none", flags->none, "Remove all rules")->excludes(rules);
  set->add_option("--etag", flags->etag,
                  "Only if the rules are as they were when they had this etag")
      ->type_name("ETAG");
  set->footer("Example:\n  apium route set 'mail.*=mail' 'report.?=slow'");
  session->SetCommand(set, [flags, session]() -> absl::StatusOr<int> {
    if (flags->rules.empty() && !flags->none) {
      return absl::InvalidArgumentError(
          "give the rules, or --none to remove all");
    }
    std::vector<v1::RouteRule> rules;
    for (const std::string& text : flags->rules) {
      APIUM_ASSIGN_OR_RETURN(v1::RouteRule rule, RuleOf(text));
      rules.push_back(std::move(rule));
    }
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    v1::GetRouteRulesResponse stored;
    stored.mutable_rules()->Assign(rules.begin(), rules.end());
    APIUM_ASSIGN_OR_RETURN(*stored.mutable_etag(),
                           routing->SetRouteRules(rules, flags->etag));
    PrintRules(stored, session->output());
    return kExitOk;
  });
}

void AddList(CLI::App* route, Session* session) {
  CLI::App* list = route->add_subcommand("list", "List the rules in order");
  session->SetCommand(list, [session]() -> absl::StatusOr<int> {
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_ASSIGN_OR_RETURN(const v1::GetRouteRulesResponse rules,
                           routing->GetRouteRules());
    PrintRules(rules, session->output());
    return kExitOk;
  });
}

void AddResolve(CLI::App* route, Session* session) {
  struct Flags {
    std::string type;
    std::string queue;
    std::string exchange;
    std::string routing_key;
    std::map<std::string, std::string> headers;
  };
  CLI::App* resolve = route->add_subcommand(
      "resolve", "Show the queues that a submit would go to");
  const auto flags = std::make_shared<Flags>();
  resolve->add_option("type", flags->type, "Task type")
      ->required()
      ->type_name("TYPE");
  AddRouteOptions(resolve, &flags->queue, &flags->exchange,
                  &flags->routing_key);
  AddPairs(resolve, "--header", &flags->headers,
           "Header of the task; repeatable");
  resolve->footer(
      "Example:\n"
      "  apium route resolve mail.send --exchange events --routing-key "
      "order.7.paid");
  session->SetCommand(resolve, [flags, session]() -> absl::StatusOr<int> {
    v1::ResolveRouteRequest request;
    request.set_type(flags->type);
    request.set_queue(flags->queue);
    request.set_exchange(flags->exchange);
    request.set_routing_key(flags->routing_key);
    request.mutable_headers()->insert(flags->headers.begin(),
                                      flags->headers.end());
    APIUM_ASSIGN_OR_RETURN(RoutingClient * routing, session->routing());
    APIUM_ASSIGN_OR_RETURN(const std::vector<std::string> queues,
                           routing->Resolve(std::move(request)));
    v1::ResolveRouteResponse response;
    response.mutable_queues()->Assign(queues.begin(), queues.end());
    session->output().Print(response, [&] {
      for (const std::string& queue : queues)
        *session->output().out() << queue << "\n";
    });
    return kExitOk;
  });
}

}  // namespace

void AddRouteCommands(CLI::App* app, Session* session) {
  CLI::App* route = app->add_subcommand(
      "route", "Rules that name the queues of task types; where a task goes");
  route->require_subcommand(1);
  AddSet(route, session);
  AddList(route, session);
  AddResolve(route, session);
}

}  // namespace apium::cli
