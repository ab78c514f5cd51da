#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/support/engine_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

// Leased a and b, ready c to f, scheduled g and h.
void Fill(EngineHarness& h) {
  h.CreateQueue("mail");
  h.Submit("a");
  h.Submit("b");
  h.Credit("w1", 2);
  for (const char* id : {"c", "d"}) h.Submit(id);
  h.Submit("e", {.type = "mail"});
  h.Submit("f", {.queue = "mail"});
  h.Submit("g", {.delay = absl::Hours(1)});
  h.Submit("h", {.delay = absl::Hours(2)});
}

TEST(ListTasksTest, ListsLeasedThenReadyThenScheduled) {
  EngineHarness h;
  Fill(h);
  EXPECT_EQ(h.List(), "a b c d e f g h");
}

TEST(ListTasksTest, ListsEachTaskOnceOverPages) {
  EngineHarness h;
  Fill(h);
  for (uint32_t page_size = 1; page_size <= 9; ++page_size) {
    std::string ids = h.List({.page_size = page_size});
    for (size_t at; (at = ids.find(" | ")) != std::string::npos;) {
      ids.replace(at, 3, " ");
    }
    EXPECT_EQ(ids, "a b c d e f g h") << "page size " << page_size;
  }
}

TEST(ListTasksTest, Filters) {
  EngineHarness h;
  Fill(h);
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kQueued}}}), "c d e f");
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kScheduled,
                                          TaskState::kLeased}}}),
            "a b g h");
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kStarted}}}), "");
  EXPECT_EQ(h.List({.filter = {.queue = "mail"}}), "f");
  EXPECT_EQ(h.List({.filter = {.type = "mail"}}), "e");
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kQueued},
                               .queue = "default",
                               .type = "job"}}),
            "c d");
}

TEST(ListTasksTest, FiltersByHeaderAndCreation) {
  EngineHarness h;
  h.Submit("a", {.headers = {{"customer", "7"}, {"region", "eu"}}});
  h.Advance(absl::Seconds(1));
  h.Submit("b", {.delay = absl::Hours(1), .headers = {{"customer", "7"}}});
  h.Submit("c", {.headers = {{"customer", "8"}}});
  EXPECT_EQ(h.List({.filter = {.headers = {{"customer", "7"}}}}), "a b");
  EXPECT_EQ(
      h.List({.filter = {.headers = {{"customer", "7"}, {"region", "eu"}}}}),
      "a");
  EXPECT_EQ(h.List({.filter = {.headers = {{"customer", ""}}}}), "");
  EXPECT_EQ(h.List({.filter = {.created_after = h.now()}}), "c b");
  EXPECT_EQ(h.List({.filter = {.created_before = h.now()}}), "a");
}

TEST(ListTasksTest, LeavesOutWhatHasEnded) {
  EngineHarness h;
  Fill(h);
  h.Succeed("w1", "a");
  h.Cancel("c");
  h.Cancel("g");
  EXPECT_EQ(h.List(), "b d e f h");
}

TEST(ListTasksTest, ShowsWhoHoldsATask) {
  EngineHarness h;
  Fill(h);
  h.Start("w1", "a");
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kStarted}}}), "a");
  EXPECT_EQ(h.List({.filter = {.states = {TaskState::kLeased}}}), "b");
}

TEST(ListTasksTest, ListsWhatWaitsOnDiskToo) {
  EngineHarness h({.lane_window_tasks = 2, .timer_window = 2});
  std::string expected;
  for (int i = 10; i < 40; ++i) {
    h.Submit(absl::StrCat("r", i));
    absl::StrAppend(&expected, expected.empty() ? "" : " ", "r", i);
  }
  for (int i = 10; i < 40; ++i) {
    h.Submit(absl::StrCat("s", i), {.delay = absl::Seconds(i)});
    absl::StrAppend(&expected, " s", i);
  }
  EXPECT_EQ(h.List({.page_size = 1000}), expected);
  h.Restart();
  EXPECT_EQ(h.List({.page_size = 1000}), expected);
  std::string paged = h.List({.page_size = 7});
  for (size_t at; (at = paged.find(" | ")) != std::string::npos;) {
    paged.replace(at, 3, " ");
  }
  EXPECT_EQ(paged, expected);
}

TEST(ListTasksTest, AForeignPageTokenIsRefused) {
  EngineHarness h;
  Fill(h);
  EXPECT_THAT(h.List({.page_token = "gibberish"}),
              testing::StartsWith("INVALID_ARGUMENT"));
}

TEST(ListTasksTest, AnUnknownNamespaceIsNotFound) {
  EngineHarness h;
  EXPECT_EQ(h.List({.filter = {.namespace_name = "nowhere"}}),
            "NOT_FOUND/NAMESPACE_NOT_FOUND");
}

TEST(ListTasksTest, NamespacesAreListedApart) {
  EngineHarness h({.namespaces = {"default", "other"}});
  h.Submit("a");
  h.Submit("b", {.namespace_name = "other"});
  h.Submit("c", {.delay = absl::Hours(1), .namespace_name = "other"});
  EXPECT_EQ(h.List(), "a");
  EXPECT_EQ(h.List({.filter = {.namespace_name = "other"}}), "b c");
}

TEST(ListTasksTest, APageOfLargeTasksIsShort) {
  EngineHarness h;
  constexpr size_t kTasks = 80;
  const std::string large(1024 * 1024, 'x');
  for (size_t i = 0; i < kTasks; ++i) {
    h.Submit(absl::StrCat("t", i), {.delay = absl::Hours(1), .data = large});
  }
  // They wait on the disk: a turn reads 32 MiB and what it had begun.
  const std::string pages = h.List({.page_size = 1000});
  const std::vector<std::string> each = absl::StrSplit(pages, " | ");
  EXPECT_GT(each.size(), 1u);
  size_t listed = 0;
  for (const std::string& page : each) {
    const std::vector<std::string> ids = absl::StrSplit(page, ' ');
    EXPECT_LE(ids.size(), 64u);
    listed += ids.size();
  }
  EXPECT_EQ(listed, kTasks);
}

TEST(ListTasksTest, LargeTasksBecomeReadySomeAtATime) {
  EngineHarness h({.ready_window_bytes = 4 * 1024 * 1024});
  constexpr int kTasks = 80;
  const std::string large(1024 * 1024, 'x');
  for (int i = 0; i < kTasks; ++i) {
    h.Submit(absl::StrCat("t", i), {.delay = absl::Hours(1), .data = large});
  }
  h.driver().set_now(h.now() + absl::Hours(1));
  APIUM_ASSERT_OK(h.driver().Turn({}));
  EXPECT_TRUE(h.driver().wants_turn());
  EXPECT_EQ(h.Queue(), "ready=80 scheduled=0 leased=0");
}

}  // namespace
}  // namespace apium::broker
