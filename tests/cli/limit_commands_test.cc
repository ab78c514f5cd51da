#include "cli/limit_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "cli/exit_code.h"
#include "tests/broker/support/broker_harness.h"

namespace apium::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LimitCommandsTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit_code = 0;
    std::string out;
    std::string err;
  };

  // A command line against a real broker, as if on no terminal.
  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--address", broker_.server().local_target()});
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
  // What a command that must succeed prints.
  std::string Out(std::vector<std::string> arguments) {
    const Ran ran = Run(std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
    return ran.out;
  }
  // The error of one that must be refused.
  std::string Refusal(std::vector<std::string> arguments) {
    const Ran ran = Run(std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitUsage) << ran.out;
    return ran.err;
  }

  broker::BrokerHarness broker_;
};

TEST_F(LimitCommandsTest, ALimitFromCreateToDelete) {
  EXPECT_THAT(Out({"limit", "create", "crm", "--types", "crm.*", "--queues",
                   "q?", "--concurrency", "10", "--description", "calls"}),
              AllOf(HasSubstr("crm.*"), HasSubstr("10"), HasSubstr("calls")));
  EXPECT_THAT(
      Out({"limit", "create", "api", "--rate", "100/1m", "--burst", "20",
           "--cost", "2", "--per-key", "account"}),
      AllOf(HasSubstr("100/1m"), HasSubstr("key account"), HasSubstr("20")));
  Out({"limit", "create", "tenant", "--per", "fairness-key", "--rate", "5/s",
       "--disabled"});
  EXPECT_THAT(Out({"limit", "list"}),
              AllOf(HasSubstr("CONCURRENCY"), HasSubstr("100/1m"),
                    HasSubstr("fairness key"), HasSubstr("disabled"),
                    HasSubstr("5/1s")));
  EXPECT_EQ(Out({"limit", "list", "-q"}), "api\ncrm\ntenant\n");
  EXPECT_EQ(Run({"limit", "create", "api", "--concurrency", "1"}).exit_code,
            kExitConflict);
  EXPECT_THAT(Out({"limit", "update", "crm", "--concurrency", "20"}),
              HasSubstr("20"));
  EXPECT_THAT(
      Out({"limit", "update", "api", "--rate", "none", "--concurrency", "3"}),
      Not(HasSubstr("Rate")));
  EXPECT_THAT(
      Out({"limit", "update", "tenant", "--disabled", "false", "-o", "json"}),
      Not(HasSubstr("\"disabled\": true")));
  EXPECT_THAT(Out({"limit", "get", "crm"}), HasSubstr("calls"));
  EXPECT_EQ(Run({"limit", "delete", "crm"}).exit_code, kExitUsage);
  Out({"limit", "delete", "crm", "-y"});
  EXPECT_EQ(Run({"limit", "get", "crm"}).exit_code, kExitNotFound);
}

TEST_F(LimitCommandsTest, KeysArePausedAndResumed) {
  Out({"limit", "create", "api", "--concurrency", "1", "--per-key", "account"});
  EXPECT_EQ(Out({"limit", "usage", "api", "-q"}), "");
  EXPECT_THAT(Out({"limit", "pause", "api", "--key", "acme", "--for", "1h"}),
              AllOf(HasSubstr("acme"), HasSubstr("PAUSED UNTIL")));
  EXPECT_EQ(Out({"limit", "usage", "api", "-q"}), "acme\n");
  EXPECT_THAT(Out({"limit", "usage", "api"}), HasSubstr("RUNNING"));
  Out({"limit", "resume", "api", "--key", "acme"});
  EXPECT_EQ(Out({"limit", "usage", "api", "-q"}), "");
  EXPECT_EQ(Run({"limit", "usage", "none"}).exit_code, kExitNotFound);
}

TEST_F(LimitCommandsTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Refusal({"limit", "create", "a", "--rate", "fast"}),
              HasSubstr("--rate"));
  EXPECT_THAT(Refusal({"limit", "create", "a", "--rate", "1/0s"}),
              HasSubstr("--rate"));
  EXPECT_THAT(Refusal({"limit", "create", "a", "--burst", "3"}),
              HasSubstr("--rate"));
  EXPECT_THAT(Refusal({"limit", "create", "a"}), HasSubstr("max_concurrency"));
  EXPECT_THAT(Refusal({"limit", "create", "a b", "--concurrency", "1"}),
              HasSubstr("name"));
  EXPECT_THAT(Refusal({"limit", "create", "a", "--concurrency", "1", "--per",
                       "planet"}),
              HasSubstr("fairness-key"));
  EXPECT_THAT(Refusal({"limit", "create", "a", "--concurrency", "1", "--per",
                       "type", "--per-key", "k"}),
              HasSubstr("--per"));
  EXPECT_THAT(Refusal({"limit", "update", "a"}),
              HasSubstr("nothing to change"));
  EXPECT_THAT(Refusal({"limit", "pause", "a", "--for", "0s"}),
              HasSubstr("--for"));
}

}  // namespace
}  // namespace apium::cli
