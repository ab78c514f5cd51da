#include "cli/server_dev.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "client/json_payload.h"
#include "client/task_client.h"
#include "client/task_stream.h"
#include "tests/support/status_matchers.h"

namespace apium::cli {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

class DevServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<DevServer> Start(const std::string& data_dir) {
    absl::StatusOr<std::unique_ptr<DevServer>> server = DevServer::Start(
        {.listen = "127.0.0.1:0",
         .results_listen = "127.0.0.1:0",
         .data_dir = data_dir,
         .slots = 2},
        [](const absl::Status& status) { ADD_FAILURE() << status; });
    EXPECT_THAT(server, IsOk());
    return *std::move(server);
  }
  std::unique_ptr<TaskClient> ClientOf(const DevServer& server) {
    return *TaskClient::Connect(
        {.addresses = {server.broker_address()}, .deadline = kPatience});
  }
};

TEST_F(DevServerTest, RunsATaskFromSubmitToResult) {
  std::unique_ptr<DevServer> server = Start("");
  std::unique_ptr<TaskClient> client = ClientOf(*server);
  absl::StatusOr<TaskHandle> task =
      client->Submit({.type = "apium.echo", .payload = JsonArguments("hello")});
  ASSERT_THAT(task, IsOk());
  absl::StatusOr<v1::Payload> result = task->Result(kPatience);
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(result->data(), ::testing::HasSubstr("hello"));
  client.reset();
  server->Shutdown(kPatience);
}

TEST_F(DevServerTest, AStreamGetsTheOutcomesOfItsTasks) {
  constexpr int kTasks = 1000;
  std::unique_ptr<DevServer> server = Start("");
  std::unique_ptr<TaskClient> client = ClientOf(*server);
  std::atomic<int> acks{0};
  std::atomic<int> outcomes{0};
  TaskStreamOptions options;
  options.on_ack = [&](const SubmitAck& ack) {
    EXPECT_THAT(ack.status, IsOk());
    ++acks;
  };
  options.on_outcome = [&](const v1::TaskOutcome& outcome) {
    EXPECT_EQ(outcome.state(), v1::TASK_STATE_SUCCEEDED);
    ++outcomes;
  };
  absl::StatusOr<std::unique_ptr<TaskStream>> stream =
      client->OpenStream(std::move(options));
  ASSERT_THAT(stream, IsOk());
  for (int i = 0; i < kTasks; ++i) {
    v1::TaskSpec spec;
    spec.set_type("apium.noop");
    ASSERT_THAT((*stream)->Submit(&spec), IsOk());
  }
  EXPECT_THAT((*stream)->Finish(kPatience), IsOk());
  EXPECT_EQ(acks, kTasks);
  EXPECT_EQ(outcomes, kTasks);
  stream->reset();
  client.reset();
  server->Shutdown(kPatience);
}

TEST_F(DevServerTest, WithADataFolderResultsOutliveTheProcess) {
  const std::string folder = ::testing::TempDir() + "/dev_server";
  std::filesystem::remove_all(folder);
  std::string id;
  {
    std::unique_ptr<DevServer> server = Start(folder);
    std::unique_ptr<TaskClient> client = ClientOf(*server);
    absl::StatusOr<TaskHandle> task = client->Submit({.type = "apium.noop"});
    ASSERT_THAT(task, IsOk());
    ASSERT_THAT(task->Wait(kPatience), IsOk());
    id = task->id();
    client.reset();
    server->Shutdown(kPatience);
  }
  std::unique_ptr<DevServer> server = Start(folder);
  std::unique_ptr<TaskClient> client = ClientOf(*server);
  absl::StatusOr<v1::Task> task = client->Wait(id, kPatience);
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->state(), v1::TASK_STATE_SUCCEEDED);
  client.reset();
  server->Shutdown(kPatience);
}

TEST_F(DevServerTest, AnAddressThatIsTakenIsNamed) {
  std::unique_ptr<DevServer> server = Start("");
  EXPECT_THAT(DevServer::Start({.listen = server->broker_address(),
                                .results_listen = "127.0.0.1:0"},
                               nullptr),
              HasReason("ADDRESS_IN_USE"));
  server->Shutdown(kPatience);
}

}  // namespace
}  // namespace apium::cli
