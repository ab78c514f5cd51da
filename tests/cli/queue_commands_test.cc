// Settings of queues, pauses with their reason, peek, explain and release; the
// placement of a submit.

#include "cli/queue_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "cli/app.h"
#include "cli/exit_code.h"
#include "tests/client/fake_broker.h"

namespace apium::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Words(const std::string& line) {
  return absl::StrSplit(line, ' ');
}

class QueueCommandsTest : public ::testing::Test {
 protected:
  struct Ran {
    int exit_code = 0;
    std::string out;
    std::string err;
  };

  // A command line against the fake broker, as if on no terminal.
  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--address", broker_.address()});
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
  // The answer of a command that must succeed, as JSON.
  nlohmann::json Json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const Ran ran = Run(std::move(arguments));
    EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
    return nlohmann::json::parse(ran.out, nullptr, /*allow_exceptions=*/false);
  }

  void AddQueue(const std::string& name) {
    v1::Queue queue;
    queue.set_name(name);
    queue.set_etag("first");
    broker_.AddQueue(queue);
  }

  FakeBroker broker_;
};

TEST_F(QueueCommandsTest, CreateTakesEverySetting) {
  const nlohmann::json made =
      Json(Words("queue create images --weight 3 --max-length 100 --max-bytes "
                 "5000000000 --overflow dead-letter-oldest --dead-letter "
                 "--fairness-mode fairness-first --priority-aging 1m30s "
                 "--fairness-weight acme=2.5 --fairness-weight a=b=4 "
                 "--broadcast --default-priority 0 --default-max-attempts 2 "
                 "--default-retry-delay 5s --default-max-crashes 3 "
                 "--default-max-returns 4 --default-total-time-limit 1h "
                 "--default-expires 2h --default-result-ttl 24h "
                 "--default-soft-time-limit 30s --default-result-mode "
                 "keep-failures --default-delivery-mode at-most-once"));
  EXPECT_EQ(made["weight"], 3);
  EXPECT_EQ(made["maxLength"], "100");
  EXPECT_EQ(made["maxBytes"], "5000000000");
  EXPECT_EQ(made["overflowPolicy"], "OVERFLOW_POLICY_DEAD_LETTER_OLDEST");
  EXPECT_EQ(made["deadLetter"], true);
  EXPECT_EQ(made["fairnessMode"], "FAIRNESS_MODE_FAIRNESS_FIRST");
  EXPECT_EQ(made["priorityAging"], "90s");
  EXPECT_EQ(made["fairnessWeights"]["acme"], 2.5);
  EXPECT_EQ(made["fairnessWeights"]["a=b"], 4);
  EXPECT_EQ(made["broadcast"], true);
  const nlohmann::json& defaults = made["taskDefaults"];
  EXPECT_EQ(defaults["priority"], 0);
  EXPECT_EQ(defaults["retryPolicy"]["maxAttempts"], 2);
  EXPECT_EQ(defaults["retryPolicy"]["initialDelay"], "5s");
  EXPECT_EQ(defaults["retryPolicy"]["maxCrashes"], 3);
  EXPECT_EQ(defaults["retryPolicy"]["maxReturns"], 4);
  EXPECT_EQ(defaults["retryPolicy"]["totalTimeLimit"], "3600s");
  EXPECT_EQ(defaults["expireAfter"], "7200s");
  EXPECT_EQ(defaults["resultTtl"], "86400s");
  EXPECT_EQ(defaults["softTimeLimit"], "30s");
  EXPECT_EQ(defaults["resultMode"], "RESULT_MODE_KEEP_FAILURES");
  EXPECT_EQ(defaults["deliveryMode"], "DELIVERY_MODE_AT_MOST_ONCE");
}

TEST_F(QueueCommandsTest, GetShowsTheSettingsThatAreNotTheDefault) {
  Run({"queue", "create", "images", "--weight", "3", "--max-length", "100",
       "--max-bytes", "7", "--fairness-weight", "acme=2.5", "--fairness-weight",
       "a=1", "--priority-aging", "1m", "--default-priority", "50",
       "--default-expires", "1h"});
  const std::string shown = Run({"queue", "get", "images"}).out;
  EXPECT_THAT(shown, HasSubstr("100 that wait, 7 bytes; beyond: reject"));
  EXPECT_THAT(shown, HasSubstr("a=1, acme=2.5\n"));
  EXPECT_THAT(shown, HasSubstr("a step each 1m\n"));
  EXPECT_THAT(shown, HasSubstr("priority 50, expires 1h\n"));
  Run({"queue", "create", "plain"});
  const std::string plain = Run({"queue", "get", "plain"}).out;
  EXPECT_THAT(plain, Not(HasSubstr("Weight")));
  EXPECT_THAT(plain, Not(HasSubstr("Defaults")));
}

TEST_F(QueueCommandsTest, UpdateChangesWhatIsGivenAndNothingElse) {
  Run({"queue", "create", "mail", "--weight", "3", "--default-priority", "50",
       "--default-expires", "1h", "--fairness-weight", "acme=2",
       "--fairness-weight", "other=3", "--priority-aging", "1m"});
  nlohmann::json changed =
      Json({"queue", "update", "mail", "--default-priority", "60",
            "--fairness-weight", "acme=5", "--fairness-weight", "other=0"});
  EXPECT_EQ(changed["weight"], 3);
  EXPECT_EQ(changed["taskDefaults"]["priority"], 60);
  EXPECT_EQ(changed["taskDefaults"]["expireAfter"], "3600s");
  EXPECT_EQ(changed["fairnessWeights"],
            nlohmann::json::parse(R"({"acme": 5.0})"));
  changed = Json({"queue", "update", "mail", "--max-length", "0", "--weight",
                  "1", "--priority-aging", "0s", "--clear-defaults",
                  "--default-max-attempts", "1"});
  EXPECT_EQ(changed["weight"], 1);
  EXPECT_FALSE(changed.contains("priorityAging"));
  EXPECT_FALSE(changed["taskDefaults"].contains("priority"));
  EXPECT_EQ(changed["taskDefaults"]["retryPolicy"]["maxAttempts"], 1);
  EXPECT_EQ(changed["fairnessWeights"]["acme"], 5);
}

TEST_F(QueueCommandsTest, UpdateWithAnEtagOfBeforeIsRefused) {
  AddQueue("mail");
  EXPECT_EQ(Run({"queue", "update", "mail", "--weight", "2", "--etag", "first"})
                .exit_code,
            kExitOk);
  const Ran stale = Run({"queue", "update", "mail", "--default-priority", "2",
                         "--etag", "first"});
  EXPECT_EQ(stale.exit_code, kExitConflict);
  EXPECT_THAT(stale.err, HasSubstr("ETAG_MISMATCH"));
}

TEST_F(QueueCommandsTest, BadSettingsAreNamed) {
  AddQueue("mail");
  EXPECT_THAT(Run({"queue", "update", "mail", "--weight", "0"}).err,
              HasSubstr("--weight"));
  EXPECT_THAT(Run({"queue", "update", "mail", "--overflow", "panic"}).err,
              HasSubstr("dead-letter-oldest, reject"));
  EXPECT_THAT(Run({"queue", "update", "mail", "--fairness-weight", "acme"}).err,
              HasSubstr("KEY=NUMBER"));
  EXPECT_THAT(Run({"queue", "update", "mail", "--default-priority", "256"}).err,
              HasSubstr("--default-priority"));
  EXPECT_EQ(Run({"queue", "update", "mail"}).exit_code, kExitUsage);
}

TEST_F(QueueCommandsTest, PauseSaysByWhomAndWhy) {
  AddQueue("mail");
  const Ran ran = Run(
      {"queue", "pause", "mail", "--by", "ada", "--reason", "SMTP is down"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("ada\n"));
  EXPECT_THAT(ran.out, HasSubstr("SMTP is down\n"));
}

TEST_F(QueueCommandsTest, PeekListsTheHead) {
  AddQueue("mail");
  for (const char* id : {"a", "b", "c"})
    Run({"task", "submit", "t", "--queue", "mail", "--id", id});
  EXPECT_EQ(Run({"queue", "peek", "mail", "--limit", "2", "-q"}).out, "a\nb\n");
  EXPECT_EQ(Json({"queue", "peek", "mail"})["tasks"].size(), 3u);
  EXPECT_EQ(Run({"queue", "peek", "mail", "--limit", "101"}).exit_code,
            kExitUsage);
}

TEST_F(QueueCommandsTest, ExplainSaysWhyTasksOfAQueueWait) {
  AddQueue("mail");
  const Ran nothing = Run({"queue", "explain", "mail"});
  EXPECT_EQ(nothing.exit_code, kExitOk);
  EXPECT_EQ(nothing.out, "");
  EXPECT_THAT(nothing.err, HasSubstr("nothing waits in mail"));
  v1::WaitReason reason;
  reason.set_kind(v1::WAIT_REASON_KIND_RATE_LIMIT);
  reason.set_text("limit smtp has no points left");
  reason.set_tasks(12);
  reason.mutable_blocked_time()->set_seconds(93);
  broker_.AddReason("mail", reason);
  EXPECT_EQ(Run({"queue", "explain", "mail"}).out,
            "REASON      TASKS  BLOCKED FOR  WHY                            "
            "UNTIL\n"
            "rate_limit     12        1m33s  limit smtp has no points left  "
            "-\n");
  EXPECT_EQ(Run({"queue", "explain", "mail", "-q"}).out, "rate_limit\n");
  EXPECT_EQ(Json({"queue", "explain", "mail"})["reasons"][0]["tasks"], "12");
}

TEST_F(QueueCommandsTest, ExplainSaysWhyATaskWaits) {
  Run({"task", "submit", "t", "--id", "a"});
  const Ran nothing = Run({"task", "explain", "a"});
  EXPECT_EQ(nothing.out, "a  QUEUED\n");
  EXPECT_THAT(nothing.err, HasSubstr("nothing holds it up"));
  v1::WaitReason reason;
  reason.set_kind(v1::WAIT_REASON_KIND_ORDERING);
  reason.set_text("behind 2 others of its ordering key");
  reason.add_task_ids("first");
  broker_.AddReason("a", reason);
  reason.Clear();
  reason.set_kind(v1::WAIT_REASON_KIND_PAUSED);
  reason.set_text("paused by ada");
  reason.mutable_since()->set_seconds(100);
  broker_.AddReason("a", reason);
  const Ran ran = Run({"task", "explain", "a"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "a  QUEUED\n"
            "REASON    WHY                                  SINCE              "
            "       "
            "UNTIL  TASKS IN THE WAY\n"
            "ordering  behind 2 others of its ordering key  -                  "
            "       "
            "-      first\n"
            "paused    paused by ada                        "
            "1970-01-01T00:01:40.000Z  "
            "-      -\n");
  EXPECT_EQ(Run({"task", "explain", "a", "-q"}).out, "ordering\npaused\n");
  EXPECT_EQ(Json({"task", "explain", "a"})["reasons"][1]["kind"],
            "WAIT_REASON_KIND_PAUSED");
  EXPECT_EQ(Run({"task", "explain", "b"}).exit_code, kExitNotFound);
}

TEST_F(QueueCommandsTest, ReleaseLetsAnOrderingKeyGoOn) {
  broker_.BlockOrderingKey("mail", "order-7");
  EXPECT_EQ(Run({"queue", "release", "mail", "order-7"}).exit_code, kExitOk);
  const Ran again = Run({"queue", "release", "mail", "order-7"});
  EXPECT_EQ(again.exit_code, kExitConflict);
  EXPECT_THAT(again.err, HasSubstr("ORDERING_KEY_NOT_BLOCKED"));
}

TEST_F(QueueCommandsTest, SubmitCarriesItsPlacement) {
  const Ran ran =
      Run(Words("task submit t --exchange orders --routing-key eu.books "
                "--fairness-key acme --fairness-weight 2.5 --ordering-key "
                "order-7 --ordering-failure fail-rest --require-label "
                "gpu=true --require-label zone=eu --prefer-label rack=3 "
                "--sticky-key model-3 --limit-key customer=42"));
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  const v1::TaskSpec spec = broker_.last_submit().spec();
  EXPECT_EQ(spec.exchange(), "orders");
  EXPECT_EQ(spec.routing_key(), "eu.books");
  EXPECT_EQ(spec.queue(), "");
  EXPECT_EQ(spec.fairness_key(), "acme");
  EXPECT_EQ(spec.fairness_weight(), 2.5);
  EXPECT_EQ(spec.ordering_key(), "order-7");
  EXPECT_EQ(spec.ordering_failure_policy(),
            v1::ORDERING_FAILURE_POLICY_FAIL_REST);
  EXPECT_EQ(spec.required_labels().at("gpu"), "true");
  EXPECT_EQ(spec.required_labels().at("zone"), "eu");
  EXPECT_EQ(spec.preferred_labels().at("rack"), "3");
  EXPECT_EQ(spec.sticky_key(), "model-3");
  EXPECT_EQ(spec.limit_keys().at("customer"), "42");
  const std::string shown =
      Run({"task", "get", broker_.tasks()[0].spec().task_id()}).out;
  EXPECT_THAT(shown, HasSubstr("Ordering key:"));
  EXPECT_THAT(shown, HasSubstr("Requires gpu:"));
  EXPECT_THAT(shown, HasSubstr("Limit key customer:"));
}

TEST_F(QueueCommandsTest, SubmitRefusesWhatDoesNotGoTogether) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{
           {"--exchange", "e", "--queue", "q"},
           {"--routing-key", "k"},
           {"--fairness-weight", "2"},
           {"--ordering-failure", "block"},
           {"--ordering-key", "k", "--ordering-failure", "panic"},
           {"--require-label", "gpu"}}) {
    std::vector<std::string> arguments = {"task", "submit", "t"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    EXPECT_EQ(Run(arguments).exit_code, kExitUsage) << flags[0];
  }
  EXPECT_TRUE(broker_.tasks().empty());
}

TEST_F(QueueCommandsTest, SubmitPrintsEveryTaskThatRoutingMade) {
  broker_.AnswerWithCopies({"a.2", "a.3"});
  EXPECT_EQ(Run({"task", "submit", "t", "--id", "a", "--exchange", "e"}).out,
            "a\na.2\na.3\n");
  const nlohmann::json json =
      Json({"task", "submit", "t", "--id", "a", "--exchange", "e"});
  EXPECT_EQ(json["copyTaskIds"].size(), 2u);
}

}  // namespace
}  // namespace apium::cli
