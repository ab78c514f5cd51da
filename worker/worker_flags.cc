#include "worker/worker_flags.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "common/limits.h"
#include "common/listen_address.h"
#include "common/names.h"
#include "common/strings.h"

namespace apium {
namespace {

// CLI11 takes an error text, empty for none.
std::string ErrorText(const absl::Status& status) {
  return std::string(status.message());
}

std::string CheckBroker(const std::string& text) {
  absl::StatusOr<HostPort> address = ParseHostPort(text);
  if (!address.ok()) return ErrorText(address.status());
  if (address->host.empty() || address->port == 0) {
    return StrCat(QuoteForMessage(text), " needs a host and a port");
  }
  return "";
}

void AddQueue(const std::string& text, WorkerOptions* options) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const absl::Status valid = ValidateQueueName("queue", name);
  if (!valid.ok()) throw CLI::ValidationError("--queues", ErrorText(valid));
  options->queues.push_back(name);
  if (equals == std::string::npos) return;
  uint32_t weight = 0;
  if (!absl::SimpleAtoi(text.substr(equals + 1), &weight) || weight == 0 ||
      weight > kQueueWeightMax) {
    throw CLI::ValidationError(
        "--queues", StrCat(QuoteForMessage(text), " has no weight of 1 to ",
                           kQueueWeightMax));
  }
  options->queue_weights[name] = weight;
}

void AddLabel(const std::string& text, WorkerOptions* options) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    throw CLI::ValidationError(
        "--label", StrCat(QuoteForMessage(text), " is not name=value"));
  }
  options->labels[text.substr(0, equals)] = text.substr(equals + 1);
}

}  // namespace

void AddWorkerFlags(CLI::App* app, WorkerFlags* flags) {
  AddServerFlags(
      app,
      {.service = "worker", .http_listen = StrCat("0.0.0.0:", kWorkerHttpPort)},
      &flags->server);
  WorkerOptions& options = flags->worker;
  const auto environment = [](const char* flag) {
    return FlagEnvironmentName("worker", flag);
  };

  options.brokers = {StrCat("127.0.0.1:", kBrokerPort)};
  app->add_option("--broker", options.brokers,
                  "Broker to take tasks from, host:port; may be repeated")
      ->envname(environment("broker"))
      ->delimiter(',')
      ->check(CheckBroker, "HOST:PORT")
      ->capture_default_str();
  options.namespace_name = std::string(kDefaultNamespace);
  app->add_option("--namespace", options.namespace_name,
                  "Namespace of the tasks")
      ->envname(environment("namespace"))
      ->capture_default_str()
      ->check(
          [](const std::string& text) {
            return ErrorText(ValidateNamespace("namespace", text));
          },
          "NAME");
  options.queues = {std::string(kDefaultQueue)};
  app->add_option_function<std::vector<std::string>>(
         "--queues,--queue",
         [&options](const std::vector<std::string>& texts) {
           options.queues.clear();
           for (const std::string& text : texts) AddQueue(text, &options);
         },
         "Queues to take tasks from, each with its share against the others: "
         "name or name=weight; separated by commas, or repeated")
      ->envname(environment("queues"))
      ->delimiter(',')
      ->default_str(std::string(kDefaultQueue))
      ->type_name("NAME[=WEIGHT]");
  app->add_option("--concurrency", options.slots,
                  "Tasks that run at a time; 0: one per CPU")
      ->envname(environment("concurrency"))
      ->check(CLI::Range(uint32_t{0}, kWorkerCapacityMax))
      ->capture_default_str();
  app->add_option("--prefetch", options.prefetch,
                  "Tasks to hold beyond those that run")
      ->envname(environment("prefetch"))
      ->check(CLI::Range(uint32_t{0}, kWorkerCapacityMax))
      ->capture_default_str();
  app->add_option("--worker-id", options.worker_id,
                  "Name of this worker, unique in the namespace; default "
                  "<hostname>-<pid>")
      ->envname(environment("worker-id"))
      ->check(
          [](const std::string& text) {
            return text.empty()
                       ? std::string()
                       : ErrorText(ValidateWorkerId("worker id", text));
          },
          "NAME");
  app->add_option_function<std::vector<std::string>>(
         "--label",
         [&options](const std::vector<std::string>& labels) {
           for (const std::string& label : labels) AddLabel(label, &options);
         },
         "Label of this worker, name=value, which tasks may require or "
         "prefer; may be repeated")
      ->envname(environment("label"))
      ->delimiter(',');
  AddDurationFlag(app, "shutdown-grace", &flags->shutdown_grace,
                  absl::ZeroDuration(), absl::Hours(24),
                  "How long running tasks may go on after SIGTERM before they "
                  "are cancelled and handed back")
      ->envname(environment("shutdown-grace"));
}

}  // namespace apium
