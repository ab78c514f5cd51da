// apium task cancel by filter, update, run-now, forget, count and list against
// a broker.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/exit_code.h"
#include "common/strings.h"
#include "tests/broker/support/broker_harness.h"
#include "tests/broker/support/fake_result_service.h"

namespace apium::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

class TaskControlCliTest : public ::testing::Test {
 protected:
  TaskControlCliTest()
      : broker_(broker::BrokerConfig{.results_channel = results_.Channel()}) {}

  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(
        arguments.begin(),
        {"--address", StrCat("127.0.0.1:", broker_.server().port()),
         "--timeout", "60s"});
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.exit_code =
        RunApium(std::move(arguments),
                 {.in = &in, .out = &out, .err = &err, .no_color = true});
    ran.out = out.str();
    ran.err = err.str();
    return ran;
  }
  std::string State(const std::string& id) {
    const auto task = broker_.Get(id);
    return task.ok() ? v1::TaskState_Name(task->state()).substr(11)
                     : std::string(task.status().message());
  }

  broker::FakeResultService results_;
  broker::BrokerHarness broker_;
};

TEST_F(TaskControlCliTest, CancelByFilterCountsAsksAndCancels) {
  Run({"task", "submit", "t", "--id", "a", "--header", "customer=7"});
  Run({"task", "submit", "t", "--id", "b", "--header", "customer=7", "--delay",
       "1h"});
  Run({"task", "submit", "t", "--id", "c"});
  Ran ran = Run({"task", "cancel", "--header", "customer=7", "--dry-run"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "would cancel 2 tasks that wait, and ask workers to stop 0\n");
  ran = Run({"task", "cancel", "--header", "customer=7"});
  EXPECT_THAT(ran.err, HasSubstr("--yes"));
  EXPECT_EQ(State("a"), "QUEUED");
  ran = Run({"task", "cancel", "--header", "customer=7", "--yes", "--reason",
             "left us"});
  EXPECT_EQ(ran.out, "cancelled 2 tasks that wait, asked workers to stop 0\n");
  EXPECT_EQ(State("a"), "CANCELLED");
  EXPECT_EQ(State("b"), "CANCELLED");
  EXPECT_EQ(State("c"), "QUEUED");
  EXPECT_EQ(
      Run({"task", "cancel", "--type", "t", "--state", "queued", "-y", "-q"})
          .out,
      "1\n");
}

TEST_F(TaskControlCliTest, CancelWantsIdsOrAFilter) {
  EXPECT_EQ(Run({"task", "cancel"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"task", "cancel", "a", "--queue", "q"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"task", "cancel", "a", "--dry-run"}).exit_code, kExitUsage);
  EXPECT_THAT(Run({"task", "cancel", "--state", "done"}).err,
              HasSubstr("SUCCEEDED, FAILED"));
}

TEST_F(TaskControlCliTest, UpdateChangesATaskThatWaits) {
  Run({"task", "submit", "t", "--id", "a"});
  Ran ran = Run({"task", "update", "a", "--priority", "7", "--delay", "1h",
                 "--expire-after", "2h"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("SCHEDULED"));
  EXPECT_EQ(broker_.Get("a")->spec().priority(), 7u);
  EXPECT_TRUE(broker_.Get("a")->spec().has_expire_time());
  ran = Run({"task", "run-now", "a"});
  EXPECT_THAT(ran.out, StartsWith("a  QUEUED"));
  Run({"task", "update", "a", "--clear-expiry"});
  EXPECT_FALSE(broker_.Get("a")->spec().has_expire_time());
  EXPECT_EQ(Run({"task", "update", "a"}).exit_code, kExitUsage);
  EXPECT_EQ(
      Run({"task", "update", "a", "--delay", "1s", "--run-now"}).exit_code,
      kExitUsage);
  Run({"task", "cancel", "a"});
  EXPECT_THAT(Run({"task", "run-now", "a"}).err, HasSubstr("it has ended"));
}

TEST_F(TaskControlCliTest, ForgetDeletesWhatIsKept) {
  Run({"task", "submit", "t", "--id", "a"});
  EXPECT_THAT(Run({"task", "forget", "a"}).err, HasSubstr("has not ended"));
  Run({"task", "cancel", "a"});
  const Ran ran = Run({"task", "forget", "a"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(Run({"task", "get", "a"}).exit_code, kExitNotFound);
}

TEST_F(TaskControlCliTest, CountShowsEachQueue) {
  Run({"task", "submit", "t", "--id", "a"});
  Run({"task", "submit", "t", "--id", "b"});
  Run({"task", "cancel", "b"});
  const Ran ran = Run({"task", "count"});
  EXPECT_THAT(ran.out, StartsWith("QUEUE"));
  EXPECT_THAT(ran.out, HasSubstr("default"));
  EXPECT_THAT(Run({"task", "count", "--queue", "default", "-o", "json"}).out,
              HasSubstr("\"queued\": \"1\""));
  EXPECT_EQ(Run({"task", "count", "--queue", "nowhere"}).exit_code,
            kExitNotFound);
}

TEST_F(TaskControlCliTest, ListFiltersByHeaderAndCreation) {
  Run({"task", "submit", "t", "--id", "a", "--header", "customer=7"});
  Run({"task", "submit", "t", "--id", "b"});
  EXPECT_EQ(Run({"task", "list", "--header", "customer=7", "-q"}).out, "a\n");
  EXPECT_EQ(
      Run({"task", "list", "--created-before", "2020-01-01T00:00:00Z", "-q"})
          .out,
      "");
  EXPECT_EQ(
      Run({"task", "list", "--created-after", "2020-01-01T00:00:00Z", "-q"})
          .out,
      "a\nb\n");
}

}  // namespace
}  // namespace apium::cli
