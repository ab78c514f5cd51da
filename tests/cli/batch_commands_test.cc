#include "cli/batch_commands.h"

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

class BatchCommandsTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit_code = 0;
    std::string out;
    std::string err;
  };

  // A command line against a real broker, as if on no terminal.
  Ran Run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(),
                     {"--address", broker_.server().local_target()});
    std::istringstream in(input);
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
  // The answer of a command that must succeed, as JSON.
  nlohmann::json Json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const Ran ran = Run(std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
    return nlohmann::json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
  }

  broker::BrokerHarness broker_;
};

TEST_F(BatchCommandsTest, ABatchFromItsMakingToItsEnd) {
  const nlohmann::json made =
      Json({"batch", "create", "letters", "--description", "to all",
            "--on-complete", "mail.report", "--on-first-failure",
            R"({"type": "mail.alarm", "priority": 200})"});
  EXPECT_EQ(made["batchId"], "letters");
  EXPECT_EQ(made["state"], "BATCH_STATE_OPEN");
  EXPECT_EQ(made["onFirstFailure"]["priority"], 200);
  EXPECT_EQ(Run({"task", "submit", "job", "--id", "one", "--batch", "letters"})
                .exit_code,
            kExitOk);
  const Ran closed = Run({"batch", "close", "letters"});
  EXPECT_EQ(closed.exit_code, kExitOk) << closed.err;
  EXPECT_THAT(closed.out, HasSubstr("CLOSED"));
  EXPECT_THAT(closed.out, HasSubstr("mail.report (not submitted)"));
  const Ran late =
      Run({"task", "submit", "job", "--id", "two", "--batch", "letters"});
  EXPECT_EQ(late.exit_code, kExitConflict);
  EXPECT_THAT(late.err, HasSubstr("BATCH_CLOSED"));
  EXPECT_EQ(Run({"task", "cancel", "one"}).exit_code, kExitOk);
  const nlohmann::json complete = Json({"batch", "get", "letters"});
  EXPECT_EQ(complete["state"], "BATCH_STATE_COMPLETE");
  EXPECT_EQ(complete["unsuccessful"], "1");
  EXPECT_EQ(complete["completeTaskId"].get<std::string>().size(), 36u);
  EXPECT_EQ(complete["firstFailureTaskId"].get<std::string>().size(), 36u);
}

TEST_F(BatchCommandsTest, ListsBatches) {
  EXPECT_EQ(Run({"batch", "create", "b", "-q"}).out, "b\n");
  EXPECT_EQ(Run({"batch", "create", "a", "-q"}).out, "a\n");
  EXPECT_EQ(Run({"batch", "list", "-q"}).out, "a\nb\n");
  const Ran table = Run({"batch", "list"});
  EXPECT_THAT(table.out, HasSubstr("UNSUCCESSFUL"));
  EXPECT_THAT(table.out, HasSubstr("OPEN"));
  EXPECT_EQ(Json({"batch", "list"})["batches"].size(), 2u);
}

TEST_F(BatchCommandsTest, ManyTasksJoinABatchAtOnce) {
  Run({"batch", "create", "b"});
  const std::string good = R"({"type": "job", "taskId": "one"})";
  const std::string bad = R"({"type": "job", "queue": "nowhere"})";
  const Ran refused = Run({"task", "submit-many", "--atomic", "--batch", "b"},
                          good + "\n" + bad + "\n");
  EXPECT_EQ(refused.exit_code, kExitNotFound);
  EXPECT_THAT(refused.err, HasSubstr("specs[1].queue"));
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(Json({"batch", "get", "b"}).value("members", "0"), "0");
  const Ran accepted = Run({"task", "submit-many", "--atomic", "--batch", "b"},
                           good + "\n\n" + R"({"type": "x", "taskId": "two"})");
  EXPECT_EQ(accepted.exit_code, kExitOk) << accepted.err;
  EXPECT_EQ(accepted.out, "one\ntwo\n");
  EXPECT_EQ(Json({"batch", "get", "b"})["members"], "2");
  // Each on its own.
  const Ran some = Run({"task", "submit-many", "-"},
                       bad + "\n" + R"({"type": "x", "taskId": "three"})");
  EXPECT_EQ(some.exit_code, kExitNotFound);
  EXPECT_EQ(some.out, "three\n");
  EXPECT_THAT(some.err, HasSubstr("1 of 2 tasks were refused"));
  const Ran nonsense = Run({"task", "submit-many"}, "{nonsense");
  EXPECT_THAT(nonsense.err, HasSubstr("line 1"));
  EXPECT_NE(nonsense.exit_code, kExitOk);
}

TEST_F(BatchCommandsTest, ErrorsNameWhatIsWrong) {
  const Ran unknown = Run({"batch", "get", "nothing"});
  EXPECT_EQ(unknown.exit_code, kExitNotFound);
  EXPECT_THAT(unknown.err, HasSubstr("BATCH_NOT_FOUND"));
  const Ran broken = Run({"batch", "create", "--on-success", "{nonsense"});
  EXPECT_NE(broken.exit_code, kExitOk);
  EXPECT_THAT(broken.err, HasSubstr("--on-success"));
  const Ran bad_type = Run({"batch", "create", "--on-success", "a b"});
  EXPECT_NE(bad_type.exit_code, kExitOk);
  EXPECT_THAT(bad_type.err, HasSubstr("--on-success"));
  EXPECT_EQ(Run({"batch", "list", "-q"}).out, "");
}

}  // namespace
}  // namespace apium::cli
