// Atomic submits: all tasks, or none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/fingerprint.h"
#include "tests/support/batch_calls.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

struct Item {
  std::string id;
  std::string queue = "default";
  std::string type = "job";
  std::string data;
  std::string batch_id;
  std::optional<absl::Duration> delay;
  std::optional<Unique> unique;
};

class SubmitAllTest : public ::testing::Test {
 protected:
  // As "OK a b", or the error and the number of the task that it is about.
  std::string SubmitAll(const std::vector<Item>& items,
                        const std::string& request_id = "") {
    return h_.Answers(Send(items, request_id));
  }
  // The number of the call.
  int Send(const std::vector<Item>& items, const std::string& request_id = "") {
    SubmitAllCommand command;
    FingerprintBuilder request;
    for (const Item& item : items) {
      auto content = std::make_shared<TaskContent>();
      content->namespace_name = "default";
      content->task_id = item.id;
      content->queue = item.queue;
      content->type = item.type;
      content->payload.data = item.data;
      content->batch_id = item.batch_id;
      FingerprintBuilder fingerprint;
      fingerprint.AddBytes(item.queue).AddBytes(item.data);
      content->fingerprint = fingerprint.Finish();
      request.AddBytes(item.id).AddUint64(content->fingerprint.low);
      if (item.unique.has_value())
        content->unique = std::make_shared<Unique>(*item.unique);
      command.tasks.push_back(
          {.content = std::move(content), .delay = item.delay});
    }
    if (!request_id.empty()) {
      command.request = std::make_shared<RequestIdentity>(
          RequestIdentity{.id = request_id, .fingerprint = request.Finish()});
    }
    return h_.Send(std::move(command));
  }

  EngineHarness h_;
  BatchCalls b_{&h_};
};

TEST_F(SubmitAllTest, AcceptsAllInOrder) {
  EXPECT_EQ(SubmitAll({{.id = "c"}, {.id = "a"}, {.id = "b"}}), "OK c a b");
  EXPECT_EQ(h_.Queue(), "ready=3 scheduled=0 leased=0");
  h_.Credit("w1", 3);
  EXPECT_EQ(h_.Delivered("w1"), "c#1 a#1 b#1");
}

TEST_F(SubmitAllTest, MintsTheIdsThatAreNotGiven) {
  const std::string answer = SubmitAll({{}, {.id = "b"}, {}});
  EXPECT_EQ(answer.size(), std::string("OK  b ").size() + 2 * 36) << answer;
  EXPECT_EQ(h_.Queue(), "ready=3 scheduled=0 leased=0");
}

TEST_F(SubmitAllTest, OneRefusalRefusesAll) {
  h_.CreateQueue("closed");
  h_.UpdateQueue({.queue = "closed", .submit_paused = true});
  EXPECT_EQ(SubmitAll({{.id = "a"}, {.id = "b", .queue = "nowhere"}}),
            "NOT_FOUND/QUEUE_NOT_FOUND at 1");
  EXPECT_EQ(SubmitAll({{.id = "a", .queue = "closed"}, {.id = "b"}}),
            "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT at 0");
  EXPECT_EQ(SubmitAll({{.id = "a"}, {.id = "b", .batch_id = "unknown"}}),
            "NOT_FOUND/BATCH_NOT_FOUND at 1");
  h_.Submit("taken");
  EXPECT_EQ(SubmitAll({{.id = "a"}, {.id = "taken", .data = "other"}}),
            "ALREADY_EXISTS/TASK_ID_REUSED at 1");
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=0 leased=0");
  EXPECT_EQ(h_.StatsOf().submitted_accepted, 1u);
  h_.Post(SetAdmissionCommand{.refusal = absl::ResourceExhaustedError("full")});
  EXPECT_EQ(SubmitAll({{.id = "a"}}), "RESOURCE_EXHAUSTED at 0");
}

TEST_F(SubmitAllTest, ARefusalMakesNoQueue) {
  EngineHarness h({.create_queues_on_use = true});
  SubmitAllCommand command;
  for (const char* batch_id : {"", "unknown"}) {
    auto content = std::make_shared<TaskContent>();
    content->namespace_name = "default";
    content->type = "job";
    content->queue = "new";
    content->batch_id = batch_id;
    command.tasks.push_back({.content = std::move(content)});
  }
  EXPECT_EQ(h.Answers(h.Send(std::move(command))),
            "NOT_FOUND/BATCH_NOT_FOUND at 1");
  EXPECT_EQ(h.Queue("new"), "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST_F(SubmitAllTest, TheSameCallAgainIsAnsweredTheSame) {
  const std::vector<Item> items = {{.id = "a"},
                                   {.id = "b", .delay = absl::Hours(1)}};
  EXPECT_EQ(SubmitAll(items), "OK a b");
  EXPECT_EQ(SubmitAll(items), "OK a b");
  h_.Restart();
  EXPECT_EQ(SubmitAll(items), "OK a b");
  h_.Cancel("a");
  EXPECT_EQ(SubmitAll(items), "OK a b");
  EXPECT_EQ(h_.State("a"), "CANCELLED");
  EXPECT_EQ(h_.Queue(), "ready=0 scheduled=1 leased=0");
  // A part of it may have been submitted before.
  EXPECT_EQ(SubmitAll({{.id = "c"}, {.id = "a"}}), "OK c a");
  EXPECT_EQ(h_.Queue(), "ready=1 scheduled=1 leased=0");
}

TEST_F(SubmitAllTest, AnIdMayComeTwiceWithTheSameContentOnly) {
  EXPECT_EQ(SubmitAll({{.id = "a"}, {.id = "b"}, {.id = "a"}}), "OK a b a");
  EXPECT_EQ(h_.Queue(), "ready=2 scheduled=0 leased=0");
  EXPECT_EQ(SubmitAll({{.id = "c"}, {.id = "c", .data = "other"}}),
            "ALREADY_EXISTS/TASK_ID_REUSED at 1");
  EXPECT_EQ(h_.State("c"), "UNKNOWN");
}

TEST_F(SubmitAllTest, JoinsABatchWhole) {
  b_.CreateFull("b");
  EXPECT_EQ(SubmitAll({{.id = "one", .batch_id = "b"},
                       {.id = "two", .batch_id = "b"},
                       {.id = "one", .batch_id = "b"}}),
            "OK one two one");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/2");
  EXPECT_EQ(SubmitAll({{.id = "three", .batch_id = "b"},
                       {.id = "four", .queue = "nowhere", .batch_id = "b"}}),
            "NOT_FOUND/QUEUE_NOT_FOUND at 1");
  EXPECT_EQ(b_.Get("b"), "OPEN 0+0/2");
  b_.Close("b");
  EXPECT_EQ(SubmitAll({{.id = "five"}, {.id = "six", .batch_id = "b"}}),
            "FAILED_PRECONDITION/BATCH_CLOSED at 1");
  EXPECT_EQ(h_.State("five"), "UNKNOWN");
}

Unique Key(const std::string& key,
           UniqueConflict on_conflict = UniqueConflict::kReject) {
  return {.key = key, .on_conflict = on_conflict};
}

TEST_F(SubmitAllTest, AKeyThatIsHeldRefusesAll) {
  EXPECT_EQ(SubmitAll({{.id = "a", .unique = Key("k")}}), "OK a");
  EXPECT_EQ(SubmitAll({{.id = "b", .unique = Key("l")},
                       {.id = "c", .unique = Key("k")}}),
            "ALREADY_EXISTS/UNIQUE_KEY_HELD at 1");
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  // Nobody has the key of the task that was refused along.
  EXPECT_EQ(SubmitAll({{.id = "d", .unique = Key("l")}}), "OK d");
}

TEST_F(SubmitAllTest, EachPolicyActsAsForASubmitAlone) {
  h_.Submit("waiting", {.unique = Key("replaced")});
  h_.Submit("held", {.unique = Key("attached")});
  h_.Submit("running", {.unique = Key("blocked")});
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "waiting#1");
  h_.Succeed("w1", "waiting");
  h_.Submit("waiting2", {.unique = Key("replaced")});
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "held#1");
  h_.Credit("w1", 1);
  EXPECT_EQ(h_.Delivered("w1"), "running#1");
  EXPECT_EQ(
      SubmitAll(
          {{.id = "a", .unique = Key("attached", UniqueConflict::kAttach)},
           {.id = "b", .unique = Key("blocked", UniqueConflict::kKeepLatest)},
           {.id = "c", .unique = Key("replaced", UniqueConflict::kReplace)}}),
      "OK held b c");
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  EXPECT_EQ(h_.State("b"), "BLOCKED");
  EXPECT_EQ(h_.State("c"), "QUEUED");
  EXPECT_EQ(h_.State("waiting2"), "CANCELLED");
  h_.Restart();
  h_.Reconnect("w1");
  h_.Succeed("w1", "running");
  EXPECT_EQ(h_.State("b"), "QUEUED");
}

TEST_F(SubmitAllTest, AKeyIsOfOneTaskOfTheCall) {
  EXPECT_EQ(
      SubmitAll({{.id = "a", .unique = Key("k")},
                 {.id = "b", .unique = Key("k", UniqueConflict::kAttach)}}),
      "INVALID_ARGUMENT/UNIQUE_KEY_HELD at 1");
  // The same task again is no other one.
  EXPECT_EQ(SubmitAll({{.id = "a", .unique = Key("k")},
                       {.id = "a", .unique = Key("k")}}),
            "OK a a");
}

TEST_F(SubmitAllTest, ATaskThatComesTwiceIsAttachedTwice) {
  h_.Submit("held", {.unique = Key("k")});
  EXPECT_EQ(
      SubmitAll({{.id = "a", .unique = Key("k", UniqueConflict::kAttach)},
                 {.id = "a", .unique = Key("k", UniqueConflict::kAttach)}}),
      "OK held held");
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
}

TEST_F(SubmitAllTest, ARequestThatIsRepeatedIsAnsweredAsTheFirst) {
  const std::vector<Item> items = {{}, {.id = "b"}, {}};
  const std::string first = SubmitAll(items, "r");
  EXPECT_THAT(first, ::testing::StartsWith("OK "));
  h_.Restart();
  EXPECT_EQ(SubmitAll(items, "r"), first);
  EXPECT_EQ(h_.Queue(), "ready=3 scheduled=0 leased=0");
  EXPECT_EQ(SubmitAll({{}, {}}, "r"), "ALREADY_EXISTS/REQUEST_ID_REUSED");
  h_.Advance(absl::Hours(24));
  EXPECT_NE(SubmitAll({{.id = "c"}}, "r"), first);
}

TEST_F(SubmitAllTest, ACrashLosesAllOrNothing) {
  h_.HoldTurns();
  Send({{.id = "a"}, {.id = "b", .delay = absl::Hours(1)}});
  h_.Crash();
  EXPECT_EQ(h_.State("a"), "UNKNOWN");
  EXPECT_EQ(h_.State("b"), "UNKNOWN");
  h_.HoldTurns();
  Send({{.id = "a"}, {.id = "b", .delay = absl::Hours(1)}});
  h_.Crash(/*surviving_turns=*/1);
  EXPECT_EQ(h_.State("a"), "QUEUED");
  EXPECT_EQ(h_.State("b"), "SCHEDULED");
}

}  // namespace
}  // namespace apium::broker
