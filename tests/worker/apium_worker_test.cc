// The program apium-worker as an operator sees it: a process with flags,
// signals, an HTTP port and an exit status.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/worker/fake_broker.h"

extern char** environ;

namespace apium {
namespace {

using ::testing::HasSubstr;

constexpr char kBinary[] = "worker/apium-worker";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Process {
 public:
  explicit Process(std::vector<std::string> arguments)
      : stderr_path_(
            absl::StrCat(std::getenv("TEST_TMPDIR"), "/stderr-", ++count_)) {
    arguments.insert(arguments.begin(), kBinary);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                     stderr_path_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT_EQ(
        posix_spawn(&pid_, kBinary, &actions, nullptr, argv.data(), environ),
        0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
  }

  void Signal(int signal) { kill(pid_, signal); }

  // The exit status; 128 + signal if a signal ended it.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string errors() const { return ReadFile(stderr_path_); }

 private:
  static int count_;
  const std::string stderr_path_;
  pid_t pid_ = -1;
};
int Process::count_ = 0;

std::vector<std::string> Flags(const FakeBroker& broker) {
  return {"--broker",      broker.target(),
          "--http-listen", "127.0.0.1:0",
          "--concurrency", "2",
          "--worker-id",   "w1"};
}

std::shared_ptr<FakeStream> Sleeping(FakeBroker& broker) {
  auto stream = broker.NextStream();
  if (stream == nullptr) return nullptr;
  stream->Welcome("s1");
  stream->Await([](const StreamLog& log) { return log.credit == 2; });
  stream->Deliver({1}, "apium.sleep", R"({"args":[3600]})");
  const bool started = stream->Await(
      [](const StreamLog& log) { return log.started.contains(1); });
  return started ? stream : nullptr;
}

TEST(ApiumWorkerTest, OffersTheBuiltInTasksAndTheExample) {
  FakeBroker broker;
  Process worker(Flags(broker));
  auto stream = broker.NextStream();
  ASSERT_NE(stream, nullptr);
  const v1::Hello hello = stream->hello();
  std::string types;
  for (const auto& offer : hello.task_types()) {
    absl::StrAppend(&types, offer.type(), " ");
  }
  EXPECT_EQ(types,
            "apium.count apium.echo apium.fail apium.noop apium.sleep "
            "text.count_words ");
}

TEST(ApiumWorkerTest, SigtermDrainsAndExitsWithZero) {
  FakeBroker broker;
  Process worker(Flags(broker));
  auto stream = Sleeping(broker);
  ASSERT_NE(stream, nullptr);
  worker.Signal(SIGTERM);
  ASSERT_TRUE(stream->Await([](const StreamLog& log) { return log.draining; }));
  EXPECT_TRUE(stream->log().outcomes.empty()) << "the grace has not ended";
  stream->Cancel(1, "enough");
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.contains(1); }));
  EXPECT_TRUE(stream->log().outcomes[1].has_cancelled());
  stream->Acknowledge({1});
  EXPECT_EQ(worker.Wait(), 0);
  EXPECT_TRUE(stream->log().half_closed);
}

TEST(ApiumWorkerTest, HandsBackWhatRunsWhenTheGraceEnds) {
  FakeBroker broker;
  std::vector<std::string> flags = Flags(broker);
  flags.insert(flags.end(), {"--shutdown-grace", "0s"});
  Process worker(flags);
  auto stream = Sleeping(broker);
  ASSERT_NE(stream, nullptr);
  worker.Signal(SIGINT);
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.contains(1); }));
  EXPECT_EQ(stream->log().outcomes[1].returned().reason(), "draining");
  stream->Acknowledge({1});
  EXPECT_EQ(worker.Wait(), 0);
}

TEST(ApiumWorkerTest, ASecondSignalEndsTheGrace) {
  FakeBroker broker;
  std::vector<std::string> flags = Flags(broker);
  flags.insert(flags.end(), {"--shutdown-grace", "1h"});
  Process worker(flags);
  auto stream = Sleeping(broker);
  ASSERT_NE(stream, nullptr);
  worker.Signal(SIGTERM);
  ASSERT_TRUE(stream->Await([](const StreamLog& log) { return log.draining; }));
  worker.Signal(SIGTERM);
  ASSERT_TRUE(stream->Await(
      [](const StreamLog& log) { return log.outcomes.contains(1); }));
  EXPECT_EQ(stream->log().outcomes[1].returned().reason(), "draining");
  stream->Acknowledge({1});
  EXPECT_EQ(worker.Wait(), 0);
}

TEST(ApiumWorkerTest, LeavesWhenAnOperatorTellsItToDrain) {
  FakeBroker broker;
  Process worker(Flags(broker));
  auto stream = broker.NextStream();
  ASSERT_NE(stream, nullptr);
  stream->Welcome("s1");
  stream->Push(
      [](v1::BrokerPush* push) { push->add_controls()->mutable_drain(); });
  EXPECT_EQ(worker.Wait(), 0);
}

TEST(ApiumWorkerTest, RefusesBadFlagsWithStatusTwo) {
  Process worker({"--broker", "nowhere"});
  EXPECT_EQ(worker.Wait(), 2);
  EXPECT_THAT(worker.errors(), HasSubstr("--broker"));
  EXPECT_THAT(worker.errors(), HasSubstr("nowhere"));
}

TEST(ApiumWorkerTest, RefusesToStartWithoutItsHttpPort) {
  FakeBroker broker;  // has a port that is taken
  Process worker({"--http-listen", broker.target()});
  EXPECT_EQ(worker.Wait(), 1);
  EXPECT_THAT(worker.errors(), HasSubstr(broker.target()));
}

}  // namespace
}  // namespace apium
