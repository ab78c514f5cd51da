#include "cli/placement_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "cli/option_values.h"

namespace apium::cli {

void AddRouteOptions(CLI::App* submit, std::string* queue,
                     std::string* exchange, std::string* routing_key) {
  CLI::Option* by_name =
      submit
          ->add_option("--queue", *queue,
                       "Queue that holds the task [by the route rules, or "
                       "default]")
          ->type_name("NAME");
  CLI::Option* by_binding =
      submit
          ->add_option("--exchange", *exchange,
                       "Exchange that finds the queues by its bindings")
          ->type_name("NAME")
          ->excludes(by_name);
  submit
      ->add_option("--routing-key", *routing_key,
                   "What the bindings are compared with")
      ->type_name("KEY")
      ->needs(by_binding);
}

void AddPlacementOptions(CLI::App* submit, SubmitPlacementOptions* placement) {
  CLI::Option* fairness =
      submit
          ->add_option("--fairness-key", placement->fairness_key,
                       "Tenant: those of a queue share its workers' time")
          ->type_name("KEY");
  submit
      ->add_option("--fairness-weight", placement->fairness_weight,
                   "Share of the tenant against the others [1]")
      ->type_name("NUMBER")
      ->needs(fairness);
  CLI::Option* ordering =
      submit
          ->add_option("--ordering-key", placement->ordering_key,
                       "Tasks with the same key run one at a time, in the "
                       "order of their submits")
          ->type_name("KEY");
  const std::map<std::string, int> policies = {
      {"skip", v1::ORDERING_FAILURE_POLICY_SKIP},
      {"block", v1::ORDERING_FAILURE_POLICY_BLOCK},
      {"fail-rest", v1::ORDERING_FAILURE_POLICY_FAIL_REST}};
  AddChoice(
      submit, "--ordering-failure", policies,
      [placement](int policy) {
        placement->ordering_failure_policy =
            static_cast<v1::OrderingFailurePolicy>(policy);
      },
      "What becomes of those behind it if it fails [skip]")
      ->needs(ordering);
  AddPairs(submit, "--require-label", &placement->required_labels,
           "Label that its worker must have; repeatable");
  AddPairs(submit, "--prefer-label", &placement->preferred_labels,
           "Label that its worker should have; repeatable");
  submit
      ->add_option("--sticky-key", placement->sticky_key,
                   "The worker that ran the last task with this key gets it, "
                   "if it has a free slot")
      ->type_name("KEY");
  AddPairs(submit, "--limit-key", &placement->limit_keys,
           "What limits count it by, such as customer=42; repeatable");
}

}  // namespace apium::cli
