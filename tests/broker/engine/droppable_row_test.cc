#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "broker/storage/key_format.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {
namespace {

// Rows of the store that compaction may drop at `now`.
std::vector<std::string> DroppableKeys(EngineHarness& h, absl::Time now) {
  std::vector<std::string> keys;
  const uint64_t confirmed = h.driver().engine().outbox_confirmed_position();
  EXPECT_TRUE(h.driver()
                  .store()
                  .Scan("\x01", "\xff",
                        [&](std::string_view key, std::string_view value) {
                          if (IsDroppableRow(key, value, now, confirmed)) {
                            keys.emplace_back(key);
                          }
                          return true;
                        })
                  .ok());
  return keys;
}

TEST(DroppableRowTest, OnlyIdsOfFinishedTasksWhoseTimeIsOver) {
  EngineHarness h({.finished_retention = absl::Hours(1)});
  h.Credit("w1", 1);
  h.Submit("leased");
  h.Submit("ready");
  h.Submit("scheduled", {.delay = absl::Hours(100)});
  h.Submit("finished");
  h.Cancel("finished");
  h.ConfirmOutbox(1);
  const std::string row = TaskRowKey(MakeTaskKey("default", "finished"));
  EXPECT_THAT(DroppableKeys(h, h.now()), testing::IsEmpty());
  EXPECT_THAT(DroppableKeys(h, h.now() + absl::Minutes(59)),
              testing::IsEmpty());
  EXPECT_THAT(DroppableKeys(h, h.now() + absl::Minutes(61)),
              testing::ElementsAre(row));
}

TEST(DroppableRowTest, NotBeforeTheOutcomeIsConfirmed) {
  EngineHarness h({.finished_retention = absl::Hours(1)});
  h.Submit("finished");
  h.Cancel("finished");
  EXPECT_THAT(DroppableKeys(h, h.now() + absl::Hours(1000)),
              testing::IsEmpty());
}

TEST(DroppableRowTest, WhatIsUsedOfALimitGoesWhenAllIsThereAgain) {
  EngineHarness h;
  h.Send(CreateLimitCommand{
      .namespace_name = "default",
      .limit = {.name = "l",
                .settings = {.rate = Rate{.points = 1,
                                          .period = absl::Minutes(1),
                                          .burst = 2,
                                          .cost = 1}}}});
  h.Credit("w1", 2);
  h.Submit("a");
  h.Submit("b");
  EXPECT_THAT(DroppableKeys(h, h.now() + absl::Minutes(2)), testing::IsEmpty());
  EXPECT_THAT(
      DroppableKeys(h, h.now() + absl::Minutes(2) + absl::Milliseconds(1)),
      testing::ElementsAre(LimitStateRowKey("default", "l", "")));
}

TEST(DroppableRowTest, AForeignRowIsKept) {
  EXPECT_FALSE(IsDroppableRow("", "", absl::InfiniteFuture(), 1));
  EXPECT_FALSE(IsDroppableRow("T", "", absl::InfiniteFuture(), 1));
  EXPECT_FALSE(IsDroppableRow("Tdefault", "x", absl::InfiniteFuture(), 1));
  EXPECT_FALSE(IsDroppableRow("Z", "x", absl::InfiniteFuture(), 1));
}

}  // namespace
}  // namespace apium::broker
