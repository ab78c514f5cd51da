#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

TEST(DispatchTest, CreditIsNeverExceeded) {
  EngineHarness h;
  for (int i = 0; i < 10; ++i) h.Submit(absl::StrCat("t", i));
  h.Credit("w1", 3);
  EXPECT_EQ(h.Delivered("w1"), "t0#1 t1#1 t2#1");
  // An outcome does not give credit; the worker grants it.
  h.Succeed("w1", "t0");
  EXPECT_EQ(h.Delivered("w1"), "");
  h.Credit("w1", 1);
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "t3#1 t4#1");
}

TEST(DispatchTest, OutstandingCreditIsBounded) {
  EngineHarness h({.max_credit = 4});
  h.Connect("w1");
  h.Credit("w1", 4);
  for (int i = 0; i < 10; ++i) h.Submit(absl::StrCat("t", i));
  EXPECT_EQ(h.Delivered("w1"), "t0#1 t1#1 t2#1 t3#1");
}

TEST(DispatchTest, AWorkerGetsOnlyTypesThatItServes) {
  EngineHarness h;
  h.Submit("a", {.type = "mail"});
  h.Submit("b", {.type = "job"});
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "b#1");
  h.Connect("w2", {.types = {"mail"}});
  h.Credit("w2", 5);
  EXPECT_EQ(h.Delivered("w2"), "a#1");
}

TEST(DispatchTest, ATypeThatNobodyServesSaysSo) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("a", {.type = "mail.send", .priority = 255});
  h.Submit("b");
  EXPECT_EQ(h.Delivered("w1"), "b#1");
  EXPECT_EQ(h.State("a"), "QUEUED");
  EXPECT_THAT(h.Task("a").waiting_reason, testing::HasSubstr("mail.send"));
}

TEST(DispatchTest, AWorkerThatServesTheTypeInAnotherQueueDoesNotCount) {
  EngineHarness h;
  h.CreateQueue("other");
  h.Connect("w1", {.queues = {"other"}});
  h.Credit("w1", 5);
  h.Submit("a");
  EXPECT_EQ(h.Delivered("w1"), "");
  EXPECT_FALSE(h.Task("a").waiting_reason.empty());
}

TEST(DispatchTest, SeveralWorkersShareEvenly) {
  EngineHarness h;
  for (const char* worker : {"w1", "w2", "w3"}) h.Credit(worker, 100);
  h.InOneTurn([&] {
    for (int i = 0; i < 99; ++i) h.Submit(absl::StrCat("t", i));
  });
  for (const char* worker : {"w1", "w2", "w3"}) {
    const std::string delivered = h.Delivered(worker);
    const auto count = std::count(delivered.begin(), delivered.end(), '#');
    EXPECT_GE(count, 25) << worker;
    EXPECT_LE(count, 41) << worker;
  }
}

TEST(DispatchTest, SeveralWorkersShareASlowStreamEvenly) {
  EngineHarness h;
  for (const char* worker : {"w1", "w2", "w3"}) h.Credit(worker, 100);
  for (int i = 0; i < 99; ++i) h.Submit(absl::StrCat("t", i));
  for (const char* worker : {"w1", "w2", "w3"}) {
    const std::string delivered = h.Delivered(worker);
    const auto count = std::count(delivered.begin(), delivered.end(), '#');
    EXPECT_GE(count, 25) << worker;
    EXPECT_LE(count, 41) << worker;
  }
}

TEST(DispatchTest, AllQueuesOfAWorkerAreServed) {
  EngineHarness h;
  h.CreateQueue("mail");
  h.Connect("w1", {.queues = {"default", "mail"}});
  for (int i = 0; i < 100; ++i) {
    h.Submit(absl::StrCat("d", i), {.priority = 255});
    h.Submit(absl::StrCat("m", i), {.queue = "mail", .priority = 255});
  }
  // None of two full queues starves the other.
  for (int i = 0; i < 20; ++i) h.Credit("w1", 1);
  const std::string delivered = h.Delivered("w1");
  EXPECT_THAT(delivered, testing::HasSubstr("d0#1"));
  EXPECT_THAT(delivered, testing::HasSubstr("m0#1"));
}

TEST(DispatchTest, ADrainingWorkerGetsNoMore) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("a");
  EXPECT_EQ(h.SayDraining("w1"), "");
  h.Submit("b");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.State("b"), "QUEUED");
  // Not even with new credit.
  h.Credit("w1", 5);
  EXPECT_EQ(h.Delivered("w1"), "");
  // What runs is finished.
  EXPECT_EQ(h.Succeed("w1", "a"), "ack a#1");
  EXPECT_THAT(h.Workers(), testing::HasSubstr("draining"));
}

TEST(DispatchTest, AnOperatorDrainsAWorker) {
  EngineHarness h;
  h.Credit("w1", 5);
  h.Submit("a");
  EXPECT_EQ(h.Drain("w1"), "OK");
  EXPECT_EQ(h.Told("w1"), "drain");
  h.Submit("b");
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  EXPECT_EQ(h.Drain("nobody"), "NOT_FOUND/WORKER_NOT_FOUND");
}

TEST(DispatchTest, CreditAndOutcomeInOneReport) {
  EngineHarness h;
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 1);
  EXPECT_EQ(h.Delivered("w1"), "a#1");
  WorkerReportCommand report;
  report.outcomes.push_back({.lease = h.Lease("w1", "a")});
  report.credit = 1;
  EXPECT_EQ(h.Report("w1", std::move(report)), "ack a#1");
  EXPECT_EQ(h.Delivered("w1"), "b#1");
}

}  // namespace
}  // namespace apium::broker
