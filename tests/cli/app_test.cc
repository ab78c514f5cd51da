#include "cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "tests/client/fake_broker.h"

namespace apium::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

class AppTest : public ::testing::Test {
 protected:
  // A command line against the fake broker, as if on no terminal.
  Ran Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"--address", broker_.address(), "--results-address",
                      broker_.address()});
    return RunAsIs(std::move(arguments));
  }
  Ran RunAsIs(std::vector<std::string> arguments) {
    std::istringstream in(stdin_);
    std::ostringstream out;
    std::ostringstream err;
    Ran ran;
    ran.exit_code =
        RunApium(std::move(arguments), {.in = &in,
                                        .out = &out,
                                        .err = &err,
                                        .in_is_terminal = terminal_,
                                        .out_is_terminal = terminal_,
                                        .no_color = true});
    ran.out = out.str();
    ran.err = err.str();
    return ran;
  }

  v1::TaskSpec OnlySpec() {
    const std::vector<v1::Task> tasks = broker_.tasks();
    EXPECT_EQ(tasks.size(), 1u);
    return tasks.empty() ? v1::TaskSpec() : tasks[0].spec();
  }

  FakeBroker broker_;
  std::string stdin_;
  bool terminal_ = false;
};

TEST_F(AppTest, SubmitPrintsTheIdAndNothingElse) {
  const Ran ran =
      Run({"task", "submit", "mail.send", "alice", "3", "--kwarg", "copies=2"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, OnlySpec().task_id() + "\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(OnlySpec().type(), "mail.send");
  EXPECT_EQ(OnlySpec().payload().data(),
            R"({"args":["alice",3],"kwargs":{"copies":2}})");
}

TEST_F(AppTest, SubmitCarriesEveryOption) {
  const Ran ran = Run({"task",  "submit",        "t",     "--queue",
                       "mail",  "--priority",    "0",     "--delay",
                       "1h30m", "--expires",     "2h",    "--retries",
                       "2",     "--retry-delay", "500ms", "--id",
                       "my-id", "--header",      "a=1",   "--header",
                       "b=2",   "--result-ttl",  "24h",   "--soft-time-limit",
                       "30s",   "--payload",     "text"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out, "my-id\n");
  const v1::TaskSpec spec = OnlySpec();
  EXPECT_EQ(spec.queue(), "mail");
  EXPECT_TRUE(spec.has_priority());
  EXPECT_EQ(spec.priority(), 0u);
  EXPECT_EQ(spec.delay().seconds(), 5400);
  EXPECT_EQ(spec.expire_after().seconds(), 7200);
  EXPECT_EQ(spec.retry_policy().max_attempts(), 3u);
  EXPECT_EQ(spec.retry_policy().initial_delay().nanos(), 500'000'000);
  EXPECT_EQ(spec.headers().at("a"), "1");
  EXPECT_EQ(spec.headers().at("b"), "2");
  EXPECT_EQ(spec.result_ttl().seconds(), 86400);
  EXPECT_EQ(spec.soft_time_limit().seconds(), 30);
  EXPECT_EQ(spec.payload().data(), "text");
}

TEST_F(AppTest, SubmitCarriesLimitsAndModes) {
  const Ran ran =
      Run({"task", "submit", "t", "--max-crashes", "2", "--max-returns", "7",
           "--total-time-limit", "5m", "--delivery-mode", "at-most-once",
           "--result-mode", "keep-failures"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  const v1::TaskSpec spec = OnlySpec();
  EXPECT_EQ(spec.retry_policy().max_crashes(), 2u);
  EXPECT_EQ(spec.retry_policy().max_returns(), 7u);
  EXPECT_EQ(spec.retry_policy().total_time_limit().seconds(), 300);
  EXPECT_EQ(spec.delivery_mode(), v1::DELIVERY_MODE_AT_MOST_ONCE);
  EXPECT_EQ(spec.result_mode(), v1::RESULT_MODE_KEEP_FAILURES);
  const Ran wrong = Run({"task", "submit", "t", "--result-mode", "some"});
  EXPECT_EQ(wrong.exit_code, kExitUsage);
  EXPECT_THAT(wrong.err, HasSubstr("--result-mode"));
}

TEST_F(AppTest, SubmitCarriesAUniqueKey) {
  const Ran ran = Run({"task", "submit", "t", "--unique-key", "k",
                       "--unique-scope", "window", "--unique-window", "5s",
                       "--on-conflict", "attach", "--request-id", "r"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  const v1::SubmitTaskRequest request = broker_.last_submit();
  EXPECT_EQ(request.request_id(), "r");
  const v1::Unique& unique = request.spec().unique();
  EXPECT_EQ(unique.key(), "k");
  EXPECT_EQ(unique.scope(), v1::UNIQUE_SCOPE_WINDOW);
  EXPECT_EQ(unique.window().seconds(), 5);
  EXPECT_EQ(unique.on_conflict(), v1::UNIQUE_CONFLICT_ATTACH);
}

TEST_F(AppTest, SubmitSaysThatItWasAttached) {
  broker_.AttachTo("holder");
  const std::vector<std::string> submit = {
      "task",     "submit",          "t", "--unique-key", "k", "--on-conflict",
      "throttle", "--unique-window", "1h"};
  Ran ran = Run(submit);
  EXPECT_EQ(ran.out, "holder\n");
  EXPECT_EQ(ran.err, "attached: holder holds the unique key\n");
  std::vector<std::string> json = {"--output", "json"};
  json.insert(json.end(), submit.begin(), submit.end());
  ran = Run(json);
  EXPECT_THAT(ran.out, HasSubstr("\"attached\": true"));
}

TEST_F(AppTest, SubmitTakesAnEtaOrADelayButNotBoth) {
  EXPECT_EQ(
      Run({"task", "submit", "t", "--eta", "2030-01-01T00:00:00Z"}).exit_code,
      kExitOk);
  EXPECT_EQ(OnlySpec().eta().seconds(), 1893456000);
  const Ran ran = Run({"task", "submit", "t", "--eta", "2030-01-01T00:00:00Z",
                       "--delay", "1s"});
  EXPECT_EQ(ran.exit_code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("--delay"));
}

TEST_F(AppTest, NegativeNumbersFollowTwoDashes) {
  EXPECT_EQ(Run({"task", "submit", "t", "--", "-3", "-4.5"}).exit_code,
            kExitOk);
  EXPECT_EQ(OnlySpec().payload().data(), R"({"args":[-3,-4.5]})");
}

TEST_F(AppTest, ListsAndObjectsAreArguments) {
  EXPECT_EQ(Run({"task", "submit", "t", "[1,2]", "{}", "[]"}).exit_code,
            kExitOk);
  EXPECT_EQ(OnlySpec().payload().data(), R"({"args":[[1,2],{},[]]})");
}

TEST_F(AppTest, OneEmptyObjectIsAnArgument) {
  EXPECT_EQ(Run({"task", "submit", "t", "{}"}).exit_code, kExitOk);
  EXPECT_EQ(OnlySpec().payload().data(), R"({"args":[{}]})");
}

TEST_F(AppTest, OneListIsAnArgument) {
  EXPECT_EQ(Run({"task", "submit", "t", "[1,2]", "--kwarg", "k=[3]"}).exit_code,
            kExitOk);
  EXPECT_EQ(OnlySpec().payload().data(),
            R"({"args":[[1,2]],"kwargs":{"k":[3]}})");
}

TEST_F(AppTest, ThePayloadMayComeFromStandardInput) {
  stdin_ = "line 1\nline 2\n";
  EXPECT_EQ(Run({"task", "submit", "t", "--payload", "-"}).exit_code, kExitOk);
  EXPECT_EQ(OnlySpec().payload().data(), "line 1\nline 2\n");
}

TEST_F(AppTest, SubmitWithWaitPrintsTheResult) {
  broker_.FinishTasksAtOnce();
  const Ran ran = Run({"task", "submit", "t", "--wait", "--id", "x"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, "true\n");
  EXPECT_EQ(ran.err, "submitted x\n");
}

TEST_F(AppTest, AFailedTaskHasItsOwnExitCode) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  broker_.FinishTask("x", v1::TASK_STATE_FAILED, "");
  const Ran ran = Run({"task", "wait", "x"});
  EXPECT_EQ(ran.exit_code, kExitTaskFailed);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err,
            "apium: task x ended FAILED: ValueError: it was wrong "
            "(ABORTED, TASK_FAILED)\n");
}

TEST_F(AppTest, AWaitThatRunsOutHasItsOwnExitCode) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  const Ran ran = Run({"task", "wait", "x", "--timeout", "50ms"});
  EXPECT_EQ(ran.exit_code, kExitTimeout);
  EXPECT_THAT(ran.err, HasSubstr("was not finished within 50ms"));
}

TEST_F(AppTest, WaitAsJsonIsTheTask) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  broker_.FinishTask("x", v1::TASK_STATE_SUCCEEDED, "[1]");
  const Ran ran = Run({"task", "wait", "x", "-o", "json"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(nlohmann::json::parse(ran.out)["outcome"]["state"],
            "TASK_STATE_SUCCEEDED");
  EXPECT_EQ(Run({"task", "wait", "x", "--raw"}).out, "[1]");
}

TEST_F(AppTest, GetShowsTheTask) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  EXPECT_EQ(Run({"task", "get", "x"}).out,
            "ID:        x\n"
            "Type:      t\n"
            "State:     QUEUED\n"
            "Priority:  0\n"
            "Payload:   {\"args\":[]}\n");
  EXPECT_THAT(Run({"task", "get", "x", "-o", "yaml"}).out,
              HasSubstr("state: \"TASK_STATE_QUEUED\"\n"));
}

TEST_F(AppTest, WhatIsNotThereIsNotFound) {
  const Ran ran = Run({"task", "get", "nobody"});
  EXPECT_EQ(ran.exit_code, kExitNotFound);
  EXPECT_EQ(ran.err,
            "apium: task nobody was not found (NOT_FOUND, TASK_NOT_FOUND)\n");
}

TEST_F(AppTest, ErrorsAreJsonForPrograms) {
  const Ran ran = Run({"-o", "json", "task", "get", "nobody"});
  EXPECT_EQ(ran.exit_code, kExitNotFound);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(nlohmann::json::parse(ran.err)["error"]["reason"],
            "TASK_NOT_FOUND");
}

TEST_F(AppTest, AnIdThatBelongsToAnotherTaskIsAConflict) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  EXPECT_EQ(Run({"task", "submit", "t", "--id", "x"}).exit_code, kExitOk);
  EXPECT_EQ(Run({"task", "submit", "other", "--id", "x"}).exit_code,
            kExitConflict);
}

TEST_F(AppTest, AServerThatIsNotThereIsUnavailable) {
  const Ran ran = RunAsIs({"--address", "127.0.0.1:1", "task", "get", "x"});
  EXPECT_EQ(ran.exit_code, kExitUnavailable);
  EXPECT_THAT(ran.err, HasSubstr("UNAVAILABLE"));
}

TEST_F(AppTest, APermissionThatIsMissingHasItsOwnExitCode) {
  broker_.FailNext("GetTask", 1, absl::PermissionDeniedError("no"));
  EXPECT_EQ(Run({"task", "get", "x"}).exit_code, kExitPermission);
}

TEST_F(AppTest, ListPagesUpToTheLimit) {
  for (int i = 0; i < 5; ++i)
    ASSERT_EQ(Run({"task", "submit", "t", "--id", StrCat("x", i)}).exit_code,
              kExitOk);
  const Ran ran = Run({"task", "list", "--limit", "3", "-q"});
  EXPECT_EQ(ran.out, "x0\nx1\nx2\n");
  EXPECT_EQ(Run({"task", "list", "-q"}).out, "x0\nx1\nx2\nx3\nx4\n");
  const Ran noted = Run({"task", "list", "--limit", "3"});
  EXPECT_THAT(noted.out, StartsWith("ID  TYPE  QUEUE"));
  EXPECT_EQ(noted.err, "there are more; go on with --page-token x2\n");
  EXPECT_EQ(Run({"task", "list", "--page-token", "x2", "-q"}).out, "x3\nx4\n");
}

TEST_F(AppTest, ListFiltersByState) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "a"}).exit_code, kExitOk);
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "b"}).exit_code, kExitOk);
  broker_.FinishTask("b", v1::TASK_STATE_SUCCEEDED, "1");
  EXPECT_EQ(Run({"task", "list", "--state", "succeeded", "-q"}).out, "b\n");
  const Ran ran = Run({"task", "list", "--state", "done"});
  EXPECT_EQ(ran.exit_code, kExitUsage);
  EXPECT_THAT(ran.err, HasSubstr("SUCCEEDED, FAILED"));
}

TEST_F(AppTest, CancelTakesManyIds) {
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "a"}).exit_code, kExitOk);
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "b"}).exit_code, kExitOk);
  const Ran ran = Run({"task", "cancel", "a", "b", "--reason", "wrong"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, "a  CANCELLED  wrong\nb  CANCELLED  wrong\n");
}

TEST_F(AppTest, WatchPrintsChangesUntilTheEnd) {
  broker_.FinishTasksAtOnce();
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "a"}).exit_code, kExitOk);
  const Ran ran = Run({"task", "watch", "a"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, "a  SUCCEEDED\n");
  EXPECT_EQ(nlohmann::json::parse(
                Run({"task", "watch", "a", "-o", "json"}).out)["state"],
            "TASK_STATE_SUCCEEDED");
}

TEST_F(AppTest, FollowPrintsChunksUntilTheEnd) {
  broker_.FinishTasksAtOnce();
  ASSERT_EQ(Run({"task", "submit", "t", "--id", "a"}).exit_code, kExitOk);
  for (const char* data : {"one", "two", "three"}) broker_.AddChunk("a", data);
  const Ran ran = Run({"task", "follow", "a"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, "one\ntwo\nthree\n");
  EXPECT_EQ(Run({"task", "follow", "a", "--from", "2", "--raw"}).out,
            "twothree");
  EXPECT_EQ(nlohmann::json::parse(
                Run({"task", "follow", "a", "--from", "3", "-o", "json"})
                    .out)["position"],
            "3");
  EXPECT_NE(Run({"task", "follow", "a", "--from", "0"}).exit_code, kExitOk);
  EXPECT_NE(Run({"task", "follow", "nobody"}).exit_code, kExitOk);
}

TEST_F(AppTest, QueuesAreManaged) {
  EXPECT_EQ(
      Run({"queue", "create", "mail", "--description", "letters"}).exit_code,
      kExitOk);
  EXPECT_EQ(Run({"queue", "create", "mail"}).exit_code, kExitConflict);
  EXPECT_THAT(Run({"queue", "pause", "mail"}).out,
              HasSubstr("State:        paused\n"));
  EXPECT_THAT(Run({"queue", "update", "mail", "--closed", "true"}).out,
              HasSubstr("paused, closed\n"));
  EXPECT_THAT(Run({"queue", "resume", "mail"}).out,
              HasSubstr("State:        closed\n"));
  EXPECT_EQ(Run({"queue", "update", "mail"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"queue", "list"}).out,
            "NAME  STATE   READY  SCHEDULED  BLOCKED  LEASED  DEAD  WORKERS  "
            "OLDEST\n"
            "mail  closed      0          0        0       0     0        0  "
            "     -\n");
  EXPECT_EQ(Run({"queue", "list", "-q"}).out, "mail\n");
  EXPECT_EQ(Run({"queue", "delete", "mail", "--yes"}).exit_code, kExitOk);
  EXPECT_EQ(Run({"queue", "get", "mail"}).exit_code, kExitNotFound);
}

TEST_F(AppTest, PurgeWantsToBeConfirmed) {
  v1::Queue queue;
  queue.set_name("mail");
  queue.mutable_counts()->set_ready(7);
  broker_.AddQueue(queue);
  const Ran unasked = Run({"queue", "purge", "mail"});
  EXPECT_EQ(unasked.exit_code, kExitUsage);
  EXPECT_THAT(unasked.err, HasSubstr("--yes"));

  terminal_ = true;
  stdin_ = "n\n";
  const Ran refused = Run({"queue", "purge", "mail"});
  EXPECT_EQ(refused.exit_code, kExitError);
  EXPECT_EQ(refused.err,
            "Cancel every task that waits in the queue mail? [y/N] nothing was "
            "changed\n");

  stdin_ = "y\n";
  const Ran agreed = Run({"queue", "purge", "mail"});
  EXPECT_EQ(agreed.exit_code, kExitOk);
  EXPECT_EQ(agreed.out, "cancelled 7 tasks\n");
  EXPECT_EQ(Run({"queue", "purge", "mail", "--yes", "-o", "json"}).out, "{}\n");
}

TEST_F(AppTest, WorkersAreListedAndDrained) {
  v1::Worker worker;
  worker.set_worker_id("host-1");
  worker.set_connected(true);
  worker.set_slots(8);
  worker.set_leases(3);
  worker.add_queues("default");
  worker.add_queues("mail");
  worker.add_task_types("t");
  worker.set_version("0.1.0");
  worker.mutable_last_seen_time()->set_seconds(1'700'000'000);
  broker_.AddWorker(worker);
  EXPECT_EQ(Run({"worker", "list"}).out,
            "WORKER  STATE      LEASES  SLOTS  QUEUES        TYPES  VERSION  "
            "LAST SEEN\n"
            "host-1  connected       3      8  default,mail      1  0.1.0    "
            "2023-11-14T22:13:20.000Z\n");
  EXPECT_EQ(Run({"worker", "drain", "host-1"}).exit_code, kExitOk);
  EXPECT_THAT(broker_.drained_workers(), ElementsAre("host-1"));
}

TEST_F(AppTest, CheckTellsHealthByItsExitCode) {
  const Ran good = Run({"server", "check", "broker"});
  EXPECT_EQ(good.exit_code, kExitOk) << good.out << good.err;
  EXPECT_THAT(good.out, HasSubstr("ok      1.2.3    -\n"));
  broker_.SetServing(false);
  const Ran bad =
      Run({"server", "check", "broker", "-o", "json", "--timeout", "500ms"});
  EXPECT_EQ(bad.exit_code, kExitUnavailable);
  const nlohmann::json report = nlohmann::json::parse(bad.out);
  EXPECT_EQ(report["servers"][0]["ok"], false);
  EXPECT_EQ(report["servers"][0]["message"], "the server says NOT_SERVING");
}

TEST_F(AppTest, CheckNoticesTheWrongServerAndTheWrongNamespace) {
  const Ran wrong = Run({"server", "check"});
  EXPECT_EQ(wrong.exit_code, kExitConflict);
  EXPECT_THAT(wrong.out,
              HasSubstr("this is apium-broker, not apium-results\n"));
  const Ran unknown =
      Run({"server", "check", "broker", "--namespace", "other"});
  EXPECT_EQ(unknown.exit_code, kExitNotFound);
  EXPECT_THAT(unknown.out,
              HasSubstr("it has no namespace other; it has default\n"));
}

TEST_F(AppTest, CheckSaysWhichServerIsNotThere) {
  const Ran ran =
      RunAsIs({"--address", "127.0.0.1:1", "server", "check", "broker"});
  EXPECT_EQ(ran.exit_code, kExitUnavailable);
  EXPECT_THAT(ran.out, HasSubstr("broker  127.0.0.1:1  failed"));
}

TEST_F(AppTest, InfoShowsTheServer) {
  EXPECT_THAT(
      Run({"server", "info"}).out,
      StartsWith("Service:        apium-broker\nVersion:        1.2.3\n"));
}

TEST_F(AppTest, GlobalOptionsMayFollowTheCommand) {
  const Ran ran = RunAsIs({"task", "submit", "t", "--id", "x", "--address",
                           broker_.address(), "-o", "json"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.out, "{\n  \"taskId\": \"x\"\n}\n");
}

TEST_F(AppTest, TheEnvironmentNamesTheServer) {
  setenv("APIUM_ADDRESS", broker_.address().c_str(), 1);
  setenv("APIUM_NAMESPACE", "Not-Valid", 1);
  const Ran bad = RunAsIs({"task", "submit", "t", "--id", "x"});
  unsetenv("APIUM_NAMESPACE");
  const Ran good = RunAsIs({"task", "submit", "t", "--id", "x"});
  unsetenv("APIUM_ADDRESS");
  EXPECT_EQ(bad.exit_code, kExitUsage);
  EXPECT_THAT(bad.err, HasSubstr("namespace"));
  EXPECT_EQ(good.exit_code, kExitOk) << good.err;
}

TEST_F(AppTest, WrongUsageIsTold) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{
           {},
           {"task"},
           {"task", "submit"},
           {"task", "fly"},
           {"task", "get", "x", "--no-such-option"},
           {"task", "get", "bad id"},
           {"task", "submit", "t", "--priority", "256"},
           {"task", "submit", "t", "--delay", "soon"},
           {"task", "submit", "t", "--on-conflict", "attach"},
           {"task", "submit", "t", "--unique-key", "k", "--on-conflict", "no"},
           {"task", "submit", "bad type!"},
           {"-o", "xml", "task", "list"},
           {"completion", "csh"},
           {"--address", "nowhere", "task", "list"},
       }) {
    const Ran ran = RunAsIs(arguments);
    EXPECT_EQ(ran.exit_code, kExitUsage) << ::testing::PrintToString(arguments);
    EXPECT_NE(ran.err, "") << ::testing::PrintToString(arguments);
    EXPECT_THAT(ran.out, IsEmpty());
  }
}

TEST_F(AppTest, HelpHasExamplesAndGoesToStandardOutput) {
  const Ran ran = RunAsIs({"task", "submit", "--help"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_THAT(ran.out, HasSubstr("apium task submit mail.send"));
  EXPECT_EQ(ran.err, "");
  EXPECT_THAT(RunAsIs({"--help"}).out, HasSubstr("Exit codes: 0 ok"));
}

TEST_F(AppTest, TheVersionIsPrinted) {
  EXPECT_THAT(RunAsIs({"version"}).out,
              ::testing::MatchesRegex("apium [0-9]+\\.[0-9]+\\.[0-9]+\n"));
  EXPECT_EQ(RunAsIs({"--version"}).out, RunAsIs({"version"}).out);
}

}  // namespace
}  // namespace apium::cli
