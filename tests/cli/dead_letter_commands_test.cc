#include "cli/dead_letter_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "cli/exit_code.h"
#include "tests/broker/support/broker_harness.h"

namespace apium::cli {
namespace {

using ::testing::HasSubstr;

class DeadLetterCommandsTest : public ::testing::Test {
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
  // A task of the queue mail that ends DEAD_LETTERED.
  void Die(const std::string& id) {
    Out({"task", "submit", "job", "--queue", "mail", "--id", id});
    v1::Hello hello = broker::HelloFor("w-" + id, "job");
    hello.clear_queues();
    hello.add_queues()->set_queue("mail");
    broker::TestWorker worker(broker_, hello);
    worker.Grant(1);
    const auto deliveries = worker.Deliveries(1);
    v1::WorkerReport report;
    v1::ExecutionOutcome* outcome = report.add_outcomes();
    *outcome->mutable_lease() = deliveries.at(0).lease();
    outcome->mutable_failure()->set_type("Boom");
    outcome->mutable_failure()->set_message("it broke");
    outcome->mutable_failure()->set_non_retryable(true);
    worker.Report(report);
    worker.NextVerdict();
  }

  broker::BrokerHarness broker_;
};

TEST_F(DeadLetterCommandsTest, LettersFromListToPurge) {
  EXPECT_THAT(Out({"queue", "create", "mail", "--dead-letter"}),
              HasSubstr("Dead letters"));
  Die("a");
  Die("b");
  Die("c");
  EXPECT_THAT(Out({"queue", "list"}), HasSubstr("DEAD"));
  EXPECT_EQ(Out({"dead-letter", "list", "--queue", "mail", "-q"}), "a\nb\nc\n");
  EXPECT_THAT(Out({"dead-letter", "list", "--queue", "mail"}),
              HasSubstr("Boom: it broke"));
  EXPECT_EQ(Out({"dead-letter", "list", "--queue", "mail", "--failure", "Other",
                 "-q"}),
            "");
  EXPECT_THAT(Out({"dead-letter", "get", "a", "--queue", "mail"}),
              HasSubstr("Failures"));
  const std::string id = Out({"dead-letter", "redrive", "a", "--queue", "mail",
                              "--payload", "better", "--to", "default"});
  EXPECT_THAT(Out({"task", "get", id.substr(0, id.size() - 1)}),
              HasSubstr("better"));
  Out({"dead-letter", "discard", "b", "--queue", "mail"});
  EXPECT_THAT(
      Out({"dead-letter", "redrive-all", "--queue", "mail", "--dry-run"}),
      HasSubstr("DONE (dry run)"));
  EXPECT_EQ(Run({"dead-letter", "status", "--queue", "mail"}).exit_code,
            kExitNotFound);
  EXPECT_EQ(Run({"dead-letter", "purge", "--queue", "mail"}).exit_code,
            kExitUsage);
  EXPECT_EQ(Out({"dead-letter", "purge", "--queue", "mail", "-y"}),
            "deleted 1 dead letters\n");
  EXPECT_THAT(
      Out({"dead-letter", "redrive-all", "--queue", "mail", "--rate", "10"}),
      HasSubstr("RUNNING"));
  EXPECT_THAT(Out({"dead-letter", "cancel", "--queue", "mail"}),
              HasSubstr("Redriven"));
  EXPECT_THAT(
      Out({"queue", "update", "mail", "--dead-letter", "false", "-o", "json"}),
      ::testing::Not(HasSubstr("\"deadLetter\": true")));
}

TEST_F(DeadLetterCommandsTest, ABreakerFromSetToRemove) {
  EXPECT_THAT(Out({"type", "breaker", "set", "job", "--share", "0.5",
                   "--window", "10s", "--open", "5s"}),
              HasSubstr("a share of 0.5 of at least 20 attempts within 10s"));
  EXPECT_THAT(Out({"type", "breaker", "get", "job"}), HasSubstr("CLOSED"));
  EXPECT_EQ(Out({"type", "breaker", "list", "-q"}), "job\n");
  EXPECT_THAT(Out({"type", "breaker", "list"}), HasSubstr("SHARE"));
  EXPECT_THAT(Out({"type", "breaker", "reset", "job"}), HasSubstr("CLOSED"));
  EXPECT_NE(Run({"type", "breaker", "set", "job", "--share", "0"}).exit_code,
            kExitOk);
  Out({"type", "breaker", "remove", "job"});
  EXPECT_EQ(Run({"type", "breaker", "get", "job"}).exit_code, kExitNotFound);
}

}  // namespace
}  // namespace apium::cli
