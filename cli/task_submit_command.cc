#include "cli/task_submit_command.h"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "apium/v1/task_service.pb.h"
#include "cli/exit_code.h"
#include "cli/option_values.h"
#include "cli/payload_options.h"
#include "cli/placement_options.h"
#include "cli/session.h"
#include "cli/task_text.h"
#include "client/task_client.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

// More words than a command line can hold.
constexpr int kArgumentsMax = 1 << 22;

const std::map<std::string, v1::ResultMode>& ResultModes() {
  static const auto* const kModes = new std::map<std::string, v1::ResultMode>{
      {"", v1::RESULT_MODE_UNSPECIFIED},
      {"keep", v1::RESULT_MODE_KEEP},
      {"keep-failures", v1::RESULT_MODE_KEEP_FAILURES},
      {"ignore", v1::RESULT_MODE_IGNORE}};
  return *kModes;
}

const std::map<std::string, v1::DeliveryMode>& DeliveryModes() {
  static const auto* const kModes = new std::map<std::string, v1::DeliveryMode>{
      {"", v1::DELIVERY_MODE_UNSPECIFIED},
      {"at-least-once", v1::DELIVERY_MODE_AT_LEAST_ONCE},
      {"at-most-once", v1::DELIVERY_MODE_AT_MOST_ONCE}};
  return *kModes;
}

struct SubmitFlags {
  std::string type;
  PayloadOptions payload;
  std::string queue;
  std::string exchange;
  std::string routing_key;
  std::string task_id;
  std::optional<uint32_t> priority;
  std::optional<absl::Duration> delay;
  std::optional<absl::Time> eta;
  std::optional<absl::Duration> expires;
  std::optional<uint32_t> attempts_max;
  std::optional<uint32_t> retries;
  std::optional<absl::Duration> retry_delay;
  std::optional<uint32_t> crashes_max;
  std::optional<uint32_t> returns_max;
  std::optional<absl::Duration> total_time_limit;
  std::string result_mode;
  std::string delivery_mode;
  std::optional<absl::Duration> result_ttl;
  std::optional<absl::Duration> soft_time_limit;
  std::map<std::string, std::string> headers;
  std::string batch_id;
  SubmitUniqueOptions unique;
  SubmitPlacementOptions placement;
  std::string request_id;
  bool wait = false;
  bool raw = false;
};

absl::StatusOr<SubmitOptions> MakeOptions(const SubmitFlags& flags,
                                          std::istream* in) {
  APIUM_RETURN_IF_ERROR(ValidateTaskType("type", flags.type));
  SubmitOptions options = {
      .type = flags.type,
      .task_id = flags.task_id,
      .queue = flags.queue,
      .exchange = flags.exchange,
      .routing_key = flags.routing_key,
      .priority = flags.priority,
      .delay = flags.delay,
      .eta = flags.eta,
      .expires = flags.expires,
      .retry = {.attempts_max = flags.attempts_max,
                .initial_delay = flags.retry_delay,
                .crashes_max = flags.crashes_max,
                .returns_max = flags.returns_max,
                .total_time_limit = flags.total_time_limit},
      .result_ttl = flags.result_ttl,
      .soft_time_limit = flags.soft_time_limit,
      .headers = flags.headers,
      .result_mode = ResultModes().at(flags.result_mode),
      .delivery_mode = DeliveryModes().at(flags.delivery_mode),
      .batch_id = flags.batch_id,
      .unique = flags.unique,
      .placement = flags.placement,
      .request_id = flags.request_id};
  if (flags.retries.has_value())
    options.retry.attempts_max = *flags.retries + 1;
  APIUM_ASSIGN_OR_RETURN(options.payload, MakePayload(flags.payload, in));
  return options;
}

absl::StatusOr<int> Submit(const SubmitFlags& flags, Session* session) {
  APIUM_ASSIGN_OR_RETURN(SubmitOptions options,
                         MakeOptions(flags, session->environment().in));
  APIUM_ASSIGN_OR_RETURN(TaskClient * tasks, session->tasks());
  APIUM_ASSIGN_OR_RETURN(TaskHandle task, tasks->Submit(std::move(options)));
  if (!flags.wait) {
    v1::SubmitTaskResponse response;
    response.set_task_id(task.id());
    response.set_attached(task.attached());
    for (const std::string& id : task.copy_ids())
      response.add_copy_task_ids(id);
    session->output().Print(response, [&] {
      *session->output().out() << task.id() << "\n";
      for (const std::string& id : task.copy_ids())
        *session->output().out() << id << "\n";
      if (task.attached()) {
        session->output().Note(
            StrCat("attached: ", task.id(), " holds the unique key"));
      }
    });
    return kExitOk;
  }
  session->output().Note(
      StrCat(task.attached() ? "attached to " : "submitted ", task.id()));
  if (!task.copy_ids().empty()) {
    session->output().Note(StrCat("and ", absl::StrJoin(task.copy_ids(), ", "),
                                  ", which are not waited for"));
  }
  APIUM_ASSIGN_OR_RETURN(v1::Task finished, task.Wait(session->wait_timeout()));
  return ReportFinishedTask(finished, flags.raw, session);
}

void AddSchedulingOptions(CLI::App* submit, SubmitFlags* flags) {
  submit
      ->add_option("--priority", flags->priority,
                   "0 to 255, higher first [the queue's, or 100]")
      ->check(CLI::Range(0, 255))
      ->type_name("NUMBER");
  CLI::Option* delay = AddDuration(submit, "--delay", &flags->delay,
                                   "Not before so long from now");
  AddTime(submit, "--eta", &flags->eta, "Not before this time")
      ->excludes(delay);
  AddDuration(submit, "--expires", &flags->expires,
              "Not started after so long from now");
  submit
      ->add_option("--id", flags->task_id,
                   "Id of the task; the same id and content again changes "
                   "nothing [minted]")
      ->type_name("ID");
  submit
      ->add_option("--batch", flags->batch_id,
                   "Open batch that the task joins; see `apium batch`")
      ->type_name("ID");
  AddPairs(submit, "--header", &flags->headers,
           "Header for the worker and readers; repeatable");
}

void AddRetryOptions(CLI::App* submit, SubmitFlags* flags) {
  CLI::Option* attempts =
      submit
          ->add_option("--max-attempts", flags->attempts_max,
                       "Failures at which the task ends; 1 runs it once")
          ->check(CLI::Range(1, 1'000'000))
          ->type_name("NUMBER");
  submit
      ->add_option("--retries", flags->retries,
                   "The same, counted without the first attempt")
      ->check(CLI::Range(0, 999'999))
      ->excludes(attempts)
      ->type_name("NUMBER");
  AddDuration(submit, "--retry-delay", &flags->retry_delay,
              "Back-off before the first retry");
  submit
      ->add_option("--max-crashes", flags->crashes_max,
                   "Crashes of its worker at which the task ends [5]")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  submit
      ->add_option("--max-returns", flags->returns_max,
                   "Times that it may be handed back unharmed [1000]")
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("NUMBER");
  AddDuration(submit, "--total-time-limit", &flags->total_time_limit,
              "No attempt begins later than so long from now, or from the ETA");
  submit
      ->add_option("--delivery-mode", flags->delivery_mode,
                   "at-most-once: never runs twice; a lost worker or a failure "
                   "ends it [at-least-once]")
      ->check(CLI::IsMember({"at-least-once", "at-most-once"}))
      ->type_name("MODE");
  submit
      ->add_option("--result-mode", flags->result_mode,
                   "What is kept of it after its end: keep, keep-failures or "
                   "ignore [keep]")
      ->check(CLI::IsMember({"keep", "keep-failures", "ignore"}))
      ->type_name("MODE");
  AddDuration(submit, "--result-ttl", &flags->result_ttl,
              "How long the result is kept");
  AddDuration(submit, "--soft-time-limit", &flags->soft_time_limit,
              "Run time after which the handler is cancelled");
}

void AddIdentityOptions(CLI::App* submit, SubmitFlags* flags) {
  const std::map<std::string, int> scopes = {
      {"until-end", v1::UNIQUE_SCOPE_UNTIL_END},
      {"until-start", v1::UNIQUE_SCOPE_UNTIL_START},
      {"window", v1::UNIQUE_SCOPE_WINDOW}};
  const std::map<std::string, int> conflicts = {
      {"reject", v1::UNIQUE_CONFLICT_REJECT},
      {"attach", v1::UNIQUE_CONFLICT_ATTACH},
      {"replace", v1::UNIQUE_CONFLICT_REPLACE},
      {"debounce", v1::UNIQUE_CONFLICT_DEBOUNCE},
      {"throttle", v1::UNIQUE_CONFLICT_THROTTLE},
      {"keep-latest", v1::UNIQUE_CONFLICT_KEEP_LATEST}};
  CLI::Option* key = submit
                         ->add_option("--unique-key", flags->unique.key,
                                      "At most one task with this key")
                         ->type_name("KEY");
  AddChoice(
      submit, "--unique-scope", scopes,
      [flags](int scope) {
        flags->unique.scope = static_cast<v1::UniqueScope>(scope);
      },
      "How long it holds the key [until-end]")
      ->needs(key);
  AddDuration(submit, "--unique-window", &flags->unique.window,
              "For scope window, debounce and throttle")
      ->needs(key);
  AddChoice(
      submit, "--on-conflict", conflicts,
      [flags](int conflict) {
        flags->unique.on_conflict = static_cast<v1::UniqueConflict>(conflict);
      },
      "What becomes of this task while another holds the key [reject]")
      ->needs(key);
  submit
      ->add_option("--request-id", flags->request_id,
                   "The same id and content again within 24 h is answered as "
                   "the first, and submits nothing")
      ->type_name("ID");
}

}  // namespace

void AddTaskSubmitCommand(CLI::App* task, Session* session) {
  CLI::App* submit =
      task->add_subcommand("submit", "Submit a task and print its id");
  const auto flags = std::make_shared<SubmitFlags>();
  submit->add_option("type", flags->type, "Name of the handler")
      ->required()
      ->type_name("TYPE");
  submit
      ->add_option("args", flags->payload.args,
                   "Positional arguments: JSON values, or plain text; put -- "
                   "before negative numbers")
      ->type_name("ARGS")
      // CLI11 takes [1,2] for a list of its own wherever an option may have
      // "extra" words. This one expects a lot of words instead, and with
      // TakeAll nobody minds that there are fewer.
      ->expected(kArgumentsMax, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  AddPairs(submit, "--kwarg", &flags->payload.kwargs,
           "Keyword argument; the value as in ARGS; repeatable");
  submit
      ->add_option("--payload", flags->payload.payload,
                   "The whole payload instead of arguments; - reads stdin")
      ->type_name("DATA");
  submit
      ->add_option("--payload-file,--from-file", flags->payload.payload_file,
                   "The same from a file; - reads stdin")
      ->type_name("FILE");
  submit
      ->add_option("--content-type", flags->payload.content_type,
                   "MIME type of the payload [guessed]")
      ->type_name("TYPE");
  AddRouteOptions(submit, &flags->queue, &flags->exchange, &flags->routing_key);
  AddSchedulingOptions(submit, flags.get());
  AddPlacementOptions(submit, &flags->placement);
  AddRetryOptions(submit, flags.get());
  AddIdentityOptions(submit, flags.get());
  submit->add_flag("--wait", flags->wait,
                   "Wait for the end, print the result; exit code 8 if the "
                   "task did not succeed");
  submit->add_flag("--raw", flags->raw,
                   "With --wait: write the result's bytes as they are");
  submit->footer(
      "Examples:\n"
      "  apium task submit mail.send alice@example.org '{\"subject\": \"hi\"}' "
      "--kwarg copies=2\n"
      "  apium task submit apium.echo hello --wait\n"
      "  apium task submit report.make --delay 1h30m --expires 36h --priority "
      "200 --queue reports\n"
      "  apium task submit image.resize --payload-file photo.jpg "
      "--content-type image/jpeg\n"
      "  apium task submit index.build --unique-key index --on-conflict "
      "keep-latest\n"
      "  apium task submit order.ship --exchange orders --routing-key eu.books "
      "--ordering-key order-7\n"
      "  apium task submit image.resize --fairness-key acme --require-label "
      "gpu=true --limit-key customer=42\n"
      "  apium task submit math.abs -- -3");
  session->SetCommand(submit,
                      [flags, session] { return Submit(*flags, session); });
}

absl::StatusOr<int> ReportFinishedTask(const v1::Task& task, bool raw,
                                       Session* session) {
  const bool succeeded = task.state() == v1::TASK_STATE_SUCCEEDED;
  if (raw && succeeded) {
    PrintResult(task.outcome(), /*raw=*/true,
                session->environment().out_is_terminal, session->output());
    return kExitOk;
  }
  session->output().Print(task, [&] {
    if (succeeded) {
      PrintResult(task.outcome(), /*raw=*/false,
                  session->environment().out_is_terminal, session->output());
    } else {
      session->output().PrintError(OutcomeStatus(task.outcome()));
    }
  });
  return succeeded ? kExitOk : kExitTaskFailed;
}

}  // namespace apium::cli
