#include "cli/queue_settings_options.h"

#include <CLI/CLI.hpp>

#include "absl/strings/numbers.h"
#include "cli/option_values.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

constexpr uint32_t kCountMax = 1'000'000;
constexpr uint32_t kWeightMax = 1000;

// AddChoice for an enum of the API.
template <typename Enum>
CLI::Option* AddEnum(CLI::App* app, const std::string& name,
                     const std::map<std::string, int>& choices,
                     std::optional<Enum>* value, const std::string& help) {
  return AddChoice(
      app, name, choices,
      [value](int choice) { *value = static_cast<Enum>(choice); }, help);
}

CLI::Option* AddNumber(CLI::App* app, const std::string& name,
                       std::optional<uint32_t>* value, uint32_t min,
                       uint32_t max, const std::string& help) {
  return app->add_option(name, *value, help)
      ->check(CLI::Range(min, max))
      ->type_name("NUMBER");
}

// KEY=WEIGHT. A key may have equal signs, and may be empty: tasks without one.
void AddWeights(CLI::App* app, std::map<std::string, double>* weights) {
  app->add_option_function<std::vector<std::string>>(
         "--fairness-weight",
         [weights](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             const size_t equals = text.rfind('=');
             double weight = 0;
             if (equals == std::string::npos ||
                 !absl::SimpleAtod(text.substr(equals + 1), &weight)) {
               throw CLI::ValidationError(
                   "--fairness-weight",
                   StrCat(QuoteForMessage(text),
                          " is not of the form KEY=NUMBER"));
             }
             (*weights)[text.substr(0, equals)] = weight;
           }
         },
         "Share of a tenant, KEY=NUMBER, whatever its tasks say; 0: as they "
         "say; repeatable")
      ->type_name("KEY=NUMBER")
      ->allow_extra_args(false);
}

void AddDefaults(CLI::App* app, TaskDefaultsFlags* defaults) {
  for (CLI::Option* option :
       {AddNumber(app, "--default-priority", &defaults->priority, 0,
                  kPriorityMax, "Priority [100]"),
        AddDuration(app, "--default-expires", &defaults->expires,
                    "Not started after so long from the submit"),
        AddNumber(app, "--default-max-attempts", &defaults->attempts_max, 1,
                  kCountMax, "Failures at which a task ends [4]"),
        AddDuration(app, "--default-retry-delay", &defaults->retry_delay,
                    "Back-off before the first retry [1s]"),
        AddNumber(app, "--default-max-crashes", &defaults->crashes_max, 1,
                  kCountMax, "Crashes of its worker at which a task ends [5]"),
        AddNumber(app, "--default-max-returns", &defaults->returns_max, 1,
                  kCountMax, "Times that a task may be handed back [1000]"),
        AddDuration(app, "--default-total-time-limit",
                    &defaults->total_time_limit,
                    "No attempt begins later than so long from the submit"),
        AddDuration(app, "--default-result-ttl", &defaults->result_ttl,
                    "How long results are kept [24h]"),
        AddDuration(app, "--default-soft-time-limit",
                    &defaults->soft_time_limit,
                    "Run time after which a handler is cancelled"),
        AddEnum(app, "--default-result-mode",
                {{"keep", v1::RESULT_MODE_KEEP},
                 {"keep-failures", v1::RESULT_MODE_KEEP_FAILURES},
                 {"ignore", v1::RESULT_MODE_IGNORE}},
                &defaults->result_mode, "What is kept of a task [keep]"),
        AddEnum(app, "--default-delivery-mode",
                {{"at-least-once", v1::DELIVERY_MODE_AT_LEAST_ONCE},
                 {"at-most-once", v1::DELIVERY_MODE_AT_MOST_ONCE}},
                &defaults->delivery_mode,
                "How often a task may run [at-least-once]")}) {
    option->group("Defaults of its tasks, where they say nothing");
  }
}

bool SetsRetryPolicy(const TaskDefaultsFlags& flags) {
  return flags.attempts_max || flags.retry_delay || flags.crashes_max ||
         flags.returns_max || flags.total_time_limit;
}

bool SetsDefaults(const TaskDefaultsFlags& flags) {
  return SetsRetryPolicy(flags) || flags.priority || flags.expires ||
         flags.result_ttl || flags.soft_time_limit || flags.result_mode ||
         flags.delivery_mode;
}

void ApplyRetryPolicy(const TaskDefaultsFlags& flags, v1::RetryPolicy* policy) {
  if (flags.attempts_max) policy->set_max_attempts(*flags.attempts_max);
  if (flags.retry_delay) {
    DurationToProto(*flags.retry_delay, policy->mutable_initial_delay());
  }
  if (flags.crashes_max) policy->set_max_crashes(*flags.crashes_max);
  if (flags.returns_max) policy->set_max_returns(*flags.returns_max);
  if (flags.total_time_limit) {
    DurationToProto(*flags.total_time_limit,
                    policy->mutable_total_time_limit());
  }
}

void ApplyDefaults(const TaskDefaultsFlags& flags, v1::TaskDefaults* defaults) {
  if (flags.priority) defaults->set_priority(*flags.priority);
  if (flags.expires) {
    DurationToProto(*flags.expires, defaults->mutable_expire_after());
  }
  if (SetsRetryPolicy(flags)) {
    ApplyRetryPolicy(flags, defaults->mutable_retry_policy());
  }
  if (flags.result_ttl) {
    DurationToProto(*flags.result_ttl, defaults->mutable_result_ttl());
  }
  if (flags.soft_time_limit) {
    DurationToProto(*flags.soft_time_limit,
                    defaults->mutable_soft_time_limit());
  }
  if (flags.result_mode) defaults->set_result_mode(*flags.result_mode);
  if (flags.delivery_mode) defaults->set_delivery_mode(*flags.delivery_mode);
}

}  // namespace

void AddQueueSettingsOptions(CLI::App* app, QueueSettingsFlags* flags) {
  app->add_option("--description", flags->description, "For people")
      ->type_name("TEXT");
  AddNumber(app, "--weight", &flags->weight, 1, kWeightMax,
            "Share against the other queues of a worker [1]");
  app->add_option("--max-length", flags->max_length,
                  "Tasks that may wait; 0: no limit")
      ->type_name("NUMBER");
  app->add_option("--max-bytes", flags->max_bytes,
                  "Bytes of payloads of its live tasks; 0: no limit")
      ->type_name("NUMBER");
  AddEnum(app, "--overflow",
          {{"reject", v1::OVERFLOW_POLICY_REJECT},
           {"dead-letter-oldest", v1::OVERFLOW_POLICY_DEAD_LETTER_OLDEST}},
          &flags->overflow_policy, "What becomes of a submit beyond [reject]");
  AddEnum(app, "--fairness-mode",
          {{"priority-first", v1::FAIRNESS_MODE_PRIORITY_FIRST},
           {"fairness-first", v1::FAIRNESS_MODE_FAIRNESS_FIRST}},
          &flags->fairness_mode,
          "What counts first: priority, or the share of each tenant "
          "[priority-first]");
  AddDuration(app, "--priority-aging", &flags->priority_aging,
              "Time of waiting that counts as one step of priority; 0s: "
              "priority is strict");
  AddWeights(app, &flags->fairness_weights);
  AddDefaults(app, &flags->defaults);
}

std::vector<std::string> ApplyQueueSettings(const QueueSettingsFlags& flags,
                                            v1::Queue* queue) {
  std::vector<std::string> paths;
  if (flags.description) {
    queue->set_description(*flags.description);
    paths.push_back("description");
  }
  if (flags.weight) {
    queue->set_weight(*flags.weight);
    paths.push_back("weight");
  }
  if (flags.max_length) {
    queue->set_max_length(*flags.max_length);
    paths.push_back("max_length");
  }
  if (flags.max_bytes) {
    queue->set_max_bytes(*flags.max_bytes);
    paths.push_back("max_bytes");
  }
  if (flags.overflow_policy) {
    queue->set_overflow_policy(*flags.overflow_policy);
    paths.push_back("overflow_policy");
  }
  if (flags.fairness_mode) {
    queue->set_fairness_mode(*flags.fairness_mode);
    paths.push_back("fairness_mode");
  }
  if (flags.priority_aging) {
    queue->clear_priority_aging();
    if (*flags.priority_aging > absl::ZeroDuration()) {
      DurationToProto(*flags.priority_aging, queue->mutable_priority_aging());
    }
    paths.push_back("priority_aging");
  }
  for (const auto& [key, weight] : flags.fairness_weights) {
    (*queue->mutable_fairness_weights())[key] = weight;
    if (weight == 0) queue->mutable_fairness_weights()->erase(key);
  }
  if (!flags.fairness_weights.empty()) paths.push_back("fairness_weights");
  if (SetsDefaults(flags.defaults)) {
    ApplyDefaults(flags.defaults, queue->mutable_task_defaults());
    paths.push_back("task_defaults");
  }
  return paths;
}

bool ChangesParts(const QueueSettingsFlags& flags) {
  return !flags.fairness_weights.empty() || SetsDefaults(flags.defaults);
}

}  // namespace apium::cli
