#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(QueueTest, TheDefaultQueueIsThere) {
  EngineHarness h;
  EXPECT_EQ(h.Queue("default"), "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.Queue("other"), "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST(QueueTest, IsMadeOnce) {
  EngineHarness h;
  EXPECT_EQ(h.CreateQueue("mail", {.description = "letters"}),
            "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.CreateQueue("mail"), "ALREADY_EXISTS/QUEUE_EXISTS");
  const QueueInfo queue = h.QueueDetails("mail");
  EXPECT_EQ(queue.name, "mail");
  EXPECT_EQ(queue.settings.description, "letters");
  EXPECT_EQ(queue.create_time, h.now());
  EXPECT_FALSE(queue.settings.paused);
  EXPECT_FALSE(queue.etag.empty());
}

TEST(QueueTest, SettingsSurviveARestart) {
  EngineHarness h;
  h.CreateQueue("mail", {.description = "letters", .submit_paused = true});
  h.Pause("mail");
  const QueueInfo before = h.QueueDetails("mail");
  h.Restart();
  const QueueInfo after = h.QueueDetails("mail");
  EXPECT_EQ(after.settings.description, "letters");
  EXPECT_TRUE(after.settings.paused);
  EXPECT_TRUE(after.settings.submit_paused);
  EXPECT_EQ(after.etag, before.etag);
  EXPECT_EQ(after.create_time, before.create_time);
}

TEST(QueueTest, QueuesDoNotMix) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Submit("a", {.queue = "mail"});
  h.Submit("b");
  h.Connect("w1", {.queues = {"mail"}});
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Queue("mail"), "ready=0 scheduled=0 leased=1");
  EXPECT_EQ(h.Queue("default"), "ready=1 scheduled=0 leased=0");
}

TEST(QueueTest, PausedDispatchesNothing) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("running");
  EXPECT_EQ(h.Pause("default"), "ready=0 scheduled=0 leased=1");
  EXPECT_EQ(h.Submit("a"), "OK");
  EXPECT_EQ(h.Delivered("w1"), "running#1");
  EXPECT_EQ(h.Succeed("w1", "running"), "ack running#1");
  EXPECT_FALSE(h.Task("a").waiting_reason.empty());
  // Idempotent.
  EXPECT_EQ(h.Pause("default"), "ready=1 scheduled=0 leased=0");
  h.Resume("default");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(QueueTest, APauseDoesNotStopOtherQueuesOfTheWorker) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Connect("w1", {.queues = {"default", "mail"}});
  h.Credit("w1", 5);
  h.Pause("default");
  h.Submit("a");
  h.Submit("b", {.queue = "mail"});
  EXPECT_EQ(h.Delivered("w1"), "b#1");
}

TEST(QueueTest, AScheduledTaskOfAPausedQueueWaitsOn) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("a", {.delay = absl::Seconds(1)});
  h.Pause("default");
  h.Advance(absl::Seconds(2));
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_EQ(h.Queue(), "ready=1 scheduled=0 leased=0");
  h.Resume("default");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
}

TEST(QueueTest, SubmitPausedRefusesSubmits) {
  EngineHarness h;
  h.Submit("a");
  h.UpdateQueue({.queue = "default", .submit_paused = true});
  EXPECT_EQ(h.Submit("b"), "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT");
  EXPECT_EQ(h.State("b"), "UNKNOWN");
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  h.UpdateQueue({.queue = "default", .submit_paused = false});
  EXPECT_EQ(h.Submit("b"), "OK");
}

TEST(QueueTest, AnUpdateWithAnOldEtagIsAborted) {
  EngineHarness h;
  const std::string etag = h.QueueDetails().etag;
  EXPECT_EQ(
      h.UpdateQueue({.queue = "default", .etag = etag, .description = "one"}),
      "ready=0 scheduled=0 leased=0");
  EXPECT_NE(h.QueueDetails().etag, etag);
  EXPECT_EQ(
      h.UpdateQueue({.queue = "default", .etag = etag, .description = "two"}),
      "ABORTED/ETAG_MISMATCH");
  EXPECT_EQ(h.QueueDetails().settings.description, "one");
  EXPECT_EQ(h.UpdateQueue({.queue = "default", .description = "three"}),
            "ready=0 scheduled=0 leased=0");
  EXPECT_EQ(h.QueueDetails().settings.description, "three");
}

TEST(QueueTest, WhatAnUpdateDoesNotNameStays) {
  EngineHarness h;
  h.UpdateQueue({.queue = "default", .description = "text", .paused = true});
  h.UpdateQueue({.queue = "default", .submit_paused = true});
  const QueueInfo queue = h.QueueDetails();
  EXPECT_EQ(queue.settings.description, "text");
  EXPECT_TRUE(queue.settings.paused);
  EXPECT_TRUE(queue.settings.submit_paused);
}

TEST(QueueTest, AnUnknownQueueIsNotFound) {
  EngineHarness h;
  EXPECT_EQ(h.Pause("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h.DeleteQueue("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h.Purge("nowhere"), "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST(QueueTest, OnlyAnEmptyQueueIsDeleted) {
  EngineHarness h;
  h.CreateQueue("mail");
  const SubmitOptions mail = {.queue = "mail"};
  const std::string refusal = "FAILED_PRECONDITION/QUEUE_NOT_EMPTY";
  h.Submit("a", mail);
  EXPECT_EQ(h.DeleteQueue("mail"), refusal);
  h.Connect("w1", {.queues = {"mail"}});
  h.Credit("w1", 1);
  EXPECT_EQ(h.DeleteQueue("mail"), refusal);
  h.Fail("w1", "a");
  EXPECT_EQ(h.DeleteQueue("mail"), refusal);
  h.Cancel("a");
  EXPECT_EQ(h.DeleteQueue("mail"), "OK");
  EXPECT_EQ(h.Queue("mail"), "NOT_FOUND/QUEUE_NOT_FOUND");
  EXPECT_EQ(h.Submit("b", mail), "NOT_FOUND/QUEUE_NOT_FOUND");
  h.Restart();
  EXPECT_EQ(h.Queue("mail"), "NOT_FOUND/QUEUE_NOT_FOUND");
}

TEST(QueueTest, ADeletedQueueCanBeMadeAgain) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Submit("a", {.queue = "mail"});
  h.Cancel("a");
  h.DeleteQueue("mail");
  EXPECT_EQ(h.CreateQueue("mail"), "ready=0 scheduled=0 leased=0");
  h.Submit("b", {.queue = "mail"});
  h.Connect("w1", {.queues = {"mail"}});
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "b#1");
}

TEST(QueueTest, TheDefaultQueueStays) {
  EngineHarness h;
  EXPECT_THAT(h.DeleteQueue("default"),
              testing::StartsWith("FAILED_PRECONDITION"));
  EXPECT_EQ(h.Submit("a"), "OK");
}

TEST(QueueTest, ListsByNameAndPage) {
  EngineHarness h;
  for (const char* name : {"b", "d", "a", "c"}) h.CreateQueue(name);
  const auto page = [&](const std::string& token) {
    return h.Answers(h.Send(ListQueuesCommand{
        .namespace_name = "default", .page_size = 2, .page_token = token}));
  };
  EXPECT_EQ(page(""), "a b ...");
  EXPECT_EQ(page("b"), "c d ...");
  EXPECT_EQ(page("d"), "default");
}

TEST(QueueTest, SaysHowLongTheHeadHasWaited) {
  EngineHarness h;
  EXPECT_EQ(h.QueueDetails().oldest_ready_age, absl::InfiniteDuration());
  h.Submit("a");
  h.Advance(absl::Seconds(7));
  h.Submit("b");
  EXPECT_EQ(h.QueueDetails().oldest_ready_age, absl::Seconds(7));
}

TEST(QueueTest, CountsItsWorkers) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Connect("w1", {.queues = {"default", "mail"}});
  h.Connect("w2");
  EXPECT_EQ(h.QueueDetails("default").workers, 2u);
  EXPECT_EQ(h.QueueDetails("mail").workers, 1u);
  h.Disconnect("w1");
  EXPECT_EQ(h.QueueDetails("default").workers, 1u);
  EXPECT_EQ(h.QueueDetails("mail").workers, 0u);
}

}  // namespace
}  // namespace apium::broker
