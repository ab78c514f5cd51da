#include "tests/integration/test_platform.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <utility>

#include "absl/strings/strip.h"
#include "client/connection.h"
#include "common/check.h"
#include "common/strings.h"
#include "tests/support/free_address.h"

namespace apium {
namespace {

std::string NewFolder() {
  std::string path =
      std::string(std::getenv("TEST_TMPDIR")) + "/platform-XXXXXX";
  APIUM_CHECK(mkdtemp(path.data()) != nullptr) << path;
  return path;
}

std::shared_ptr<Connection> Connect(const std::string& address,
                                    absl::Duration deadline = kLongTime) {
  auto connection =
      Connection::Open({.addresses = {address}, .deadline = deadline});
  APIUM_CHECK(connection.ok()) << connection.status().ToString();
  return *std::move(connection);
}

}  // namespace

TestPlatform::TestPlatform()
    : folder_(NewFolder()),
      broker_address_(FreeAddress()),
      results_address_(FreeAddress()) {
  StartResults();
  StartBroker();
  worker_ = StartWorker("worker", {"--concurrency=2"});
  connection_ = Connect(broker_address_);
  const std::shared_ptr<Connection>& broker = connection_;
  tasks_ = std::make_unique<TaskClient>(broker);
  queues_ = std::make_unique<QueueClient>(broker);
  batches_ = std::make_unique<BatchClient>(broker);
  workers_ = std::make_unique<WorkerAdmin>(broker);
  results_ = std::make_unique<ResultClient>(Connect(results_address_));
}

std::shared_ptr<Connection> TestPlatform::ConnectToBroker(
    absl::Duration deadline) const {
  return Connect(broker_address_, deadline);
}

void TestPlatform::StartBroker() {
  broker_ = StartServer(
      "broker", {"broker/apium-broker", StrCat("--listen=", broker_address_),
                 StrCat("--data=", folder_, "/broker"),
                 StrCat("--results=", results_address_)});
}

void TestPlatform::StartResults() {
  result_service_ =
      StartServer("results", {"results/apium-results",
                              StrCat("--listen=", results_address_),
                              StrCat("--data=", folder_, "/results")});
}

std::unique_ptr<ChildProcess> TestPlatform::StartWorker(
    const std::string& id, const std::vector<std::string>& flags) {
  std::vector<std::string> arguments = {"worker/apium-worker",
                                        StrCat("--broker=", broker_address_),
                                        StrCat("--worker-id=", id)};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return StartServer(id, std::move(arguments));
}

std::unique_ptr<ChildProcess> TestPlatform::StartServer(
    const std::string& name, std::vector<std::string> arguments) {
  const std::string port_file = StrCat(folder_, "/", name, ".ports");
  std::filesystem::remove(port_file);
  arguments.push_back("--http-listen=127.0.0.1:0");
  arguments.push_back(StrCat("--port-file=", port_file));
  auto process =
      ChildProcess::Start({.arguments = std::move(arguments),
                           .output_file = StrCat(folder_, "/", name, ".log")});
  APIUM_CHECK(process.ok()) << process.status().ToString();
  const auto ports = AwaitPortFile(process->get(), port_file, kLongTime);
  APIUM_CHECK(ports.ok()) << ports.status().ToString() << "\n" << LogOf(name);
  return *std::move(process);
}

std::string TestPlatform::LogOf(const std::string& name) const {
  std::ostringstream log;
  log << std::ifstream(StrCat(folder_, "/", name, ".log")).rdbuf();
  return log.str();
}

std::string Describe(const absl::StatusOr<v1::Task>& task) {
  if (!task.ok()) return task.status().ToString();
  const std::string& name = v1::TaskState_Name(task->state());
  std::string text(StdView(absl::StripPrefix(name, "TASK_STATE_")));
  if (task->attempt() > 1) StrAppend(&text, "#", task->attempt());
  return text;
}

bool AwaitDescription(TaskClient* client, std::string_view task_id,
                      std::string_view description) {
  std::string last;
  const absl::Status status = client->Watch(
      task_id,
      [&](const v1::Task& task) {
        last = Describe(task);
        return last != description;
      },
      kLongTime);
  if (last == description) return true;
  std::cerr << "the task is " << last << ": " << status.ToString() << "\n";
  return false;
}

}  // namespace apium
