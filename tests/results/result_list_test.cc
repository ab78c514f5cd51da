// Listing: newest first, in pages, filtered.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error_reason.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "results/result_core.h"
#include "tests/results/core_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::HasSubstr;

// Publishes `ids` as one group.
void Publish(CoreHarness* h, uint64_t position,
             const std::vector<std::string>& ids,
             absl::Duration ttl = absl::ZeroDuration()) {
  std::vector<v1::TaskOutcome> outcomes;
  for (const std::string& id : ids) {
    outcomes.push_back(Outcome(id));
    if (ttl != absl::ZeroDuration()) {
      DurationToProto(ttl, outcomes.back().mutable_result_ttl());
    }
  }
  h->Hello(1, "s1");
  h->Publish(1, position, outcomes);
  h->EndPublish(1);
  h->Step();
}

// All pages, as the client that follows the tokens sees them.
std::string AllPages(CoreHarness* h, size_t page_size) {
  std::string text;
  std::string token;
  do {
    h->List(2, page_size, token);
    text += h->Step();
    token = h->page_token();
  } while (!token.empty() && text.size() < 100'000);
  return text;
}

TEST(ResultListTest, NothingIsAnEmptyPage) {
  CoreHarness h;
  EXPECT_EQ(AllPages(&h, 10), "reply 2: []\n");
}

TEST(ResultListTest, PagesGoOnWhereTheLastOneEnded) {
  CoreHarness h;
  Publish(&h, 1, {"a", "b", "c"});
  Publish(&h, 2, {"d"});
  Publish(&h, 3, {"e", "f"});
  EXPECT_EQ(AllPages(&h, 2),
            "reply 2: [f e] and more\n"
            "reply 2: [d c] and more\n"
            "reply 2: [b a] and more\n"
            "reply 2: []\n");
  EXPECT_EQ(AllPages(&h, 4),
            "reply 2: [f e d c] and more\n"
            "reply 2: [b a]\n");
  EXPECT_EQ(AllPages(&h, 1000), "reply 2: [f e d c b a]\n");
}

TEST(ResultListTest, WhatIsPublishedMeanwhileDoesNotShiftThePages) {
  CoreHarness h;
  Publish(&h, 1, {"a", "b"});
  h.List(2, 1);
  EXPECT_EQ(h.Step(), "reply 2: [b] and more\n");
  Publish(&h, 2, {"c"});
  h.List(2, 1, h.page_token());
  EXPECT_EQ(h.Step(), "reply 2: [a] and more\n");
}

TEST(ResultListTest, TokenSurvivesARestart) {
  CoreHarness h;
  Publish(&h, 1, {"a", "b"});
  h.List(2, 1);
  h.Step();
  h.Restart();
  h.List(2, 1, h.page_token());
  EXPECT_EQ(h.Step(), "reply 2: [a] and more\n");
}

TEST(ResultListTest, FilterHoldsInAllItsParts) {
  CoreHarness h;
  v1::TaskOutcome failed = Outcome("failed");
  failed.set_state(v1::TASK_STATE_FAILED);
  v1::TaskOutcome mail = Outcome("mail");
  mail.set_queue("mail");
  v1::TaskOutcome typed = Outcome("typed");
  typed.set_type("x.y");
  v1::TaskOutcome early = Outcome("early");
  early.mutable_finish_time()->set_seconds(1000);
  h.Hello(1, "s1");
  h.Publish(1, 1, {failed, mail, typed, early, Outcome("plain")});
  h.Step();

  ListResults list;
  list.filter.states = 1u << v1::TASK_STATE_FAILED;
  h.List(2, list);
  list = {};
  list.filter.queue = "mail";
  h.List(3, list);
  list = {};
  list.filter.type = "x.y";
  h.List(4, list);
  list = {};
  list.filter.finished_before_ns = 1001 * int64_t{1'000'000'000};
  h.List(5, list);
  list = {};
  list.filter.finished_after_ns = 1001 * int64_t{1'000'000'000};
  h.List(6, list);
  list.filter.queue = "mail";
  list.filter.type = "x.y";
  h.List(7, list);
  EXPECT_EQ(h.Step(),
            "reply 2: [failed]\n"
            "reply 3: [mail]\n"
            "reply 4: [typed]\n"
            "reply 5: [early]\n"
            "reply 6: [plain typed mail failed]\n"
            "reply 7: []\n");
}

TEST(ResultListTest, BasicViewLeavesOutResultData) {
  CoreHarness h;
  Publish(&h, 1, {"a"});
  std::vector<std::string> data;
  h.on_release = [&](const ResultEffects& effects) {
    for (const Reply& reply : effects.replies) {
      data.push_back(std::get<v1::ListResultsResponse>(reply.value)
                         .outcomes(0)
                         .result()
                         .data());
    }
  };
  ListResults list;
  h.List(2, list);
  list.with_data = true;
  h.List(3, list);
  h.Step();
  EXPECT_THAT(data, testing::ElementsAre("", "r-a"));
}

TEST(ResultListTest, WhatOnlyTheOutcomeTellsIsFilteredPageByPage) {
  CoreHarness h;
  for (uint64_t position = 1; position <= 40; ++position) {
    v1::TaskOutcome wanted = Outcome(StrCat("w", position));
    (*wanted.mutable_headers())["customer"] = "7";
    wanted.mutable_create_time()->set_seconds(static_cast<int64_t>(position));
    v1::TaskOutcome other = Outcome(StrCat("o", position));
    (*other.mutable_headers())["customer"] = "8";
    h.Hello(1, "s1");
    h.Publish(1, position, {other, wanted});
    h.EndPublish(1);
    h.Step();
  }
  ListResults list;
  list.page_size = 3;
  list.filter.headers = {{"customer", "7"}};
  h.List(2, list);
  EXPECT_EQ(h.Step(), "reply 2: [w40 w39 w38] and more\n");
  list.page_token = h.page_token();
  h.List(2, list);
  EXPECT_EQ(h.Step(), "reply 2: [w37 w36 w35] and more\n");
  list.page_token = "";
  list.filter.created_before_ns = 3 * int64_t{1'000'000'000};
  h.List(2, list);
  EXPECT_EQ(h.Step(), "reply 2: [w2 w1]\n");
}

TEST(ResultListTest, PageTokenIsBoundToNamespaceAndFilter) {
  CoreHarness h;
  Publish(&h, 1, {"a", "b"});
  h.List(2, 1);
  h.Step();
  std::vector<absl::Status> statuses;
  h.on_release = [&](const ResultEffects& effects) {
    for (const Reply& reply : effects.replies) {
      statuses.push_back(reply.status);
    }
  };
  ListResults list;
  list.page_token = h.page_token();
  list.filter.queue = "q";
  h.List(3, list);
  list.filter = {};
  list.name_space = "other";
  h.List(4, list);
  list.name_space = "";
  list.page_token[20] = list.page_token[20] == 'x' ? 'y' : 'x';
  h.List(5, list);
  list.page_token = "garbage";
  h.List(6, list);
  h.Watch(7, "");
  h.Step();
  ASSERT_EQ(statuses.size(), 4u);
  for (const absl::Status& status : statuses) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("page_token")));
  }
  // A cursor of a watch is no page token either.
  h.on_release = nullptr;
  h.List(8, 1, h.cursor(7));
  EXPECT_EQ(h.Step(), "reply 8: INVALID_ARGUMENT / INVALID_FIELD\n");
}

TEST(ResultListTest, PageIsShortWhenOutcomesAreLarge) {
  CoreHarness h;
  h.Hello(1, "s1");
  for (int i = 1; i <= 5; ++i) {
    v1::TaskOutcome outcome = Outcome(StrCat("big", i));
    outcome.mutable_result()->set_data(std::string(1'200'000, 'x'));
    h.Publish(1, i, {outcome});
  }
  v1::TaskOutcome huge = Outcome("huge");
  huge.mutable_result()->set_data(std::string(5'000'000, 'x'));
  h.Publish(1, 6, {huge});
  h.Step();
  EXPECT_EQ(AllPages(&h, 100),
            "reply 2: [huge] and more\n"
            "reply 2: [big5 big4] and more\n"
            "reply 2: [big3 big2] and more\n"
            "reply 2: [big1]\n");
}

TEST(ResultListTest, ScanBudgetMakesPagesShortAndLosesNothing) {
  CoreHarness h;
  v1::TaskOutcome wanted = Outcome("wanted");
  wanted.set_queue("wanted");
  h.Hello(1, "s1");
  h.Publish(1, 1, {wanted});
  h.Step();
  for (uint64_t position = 2; position < 52; ++position) {
    std::vector<v1::TaskOutcome> noise;
    for (int i = 0; i < 1000; ++i) {
      noise.push_back(Outcome(StrCat(position, "-", i)));
    }
    h.Publish(1, position, noise);
    h.Step();
  }
  ListResults list;
  list.filter.queue = "wanted";
  std::string text;
  int pages = 0;
  do {
    h.List(2, list);
    text = h.Step();
    list.page_token = h.page_token();
    ++pages;
  } while (!list.page_token.empty() && pages < 100);
  EXPECT_EQ(text, "reply 2: [wanted]\n");
  EXPECT_GT(pages, 1);
}

TEST(ResultListTest, GapThatCompactionLeftIsSkippedAtOnce) {
  CoreHarness h;
  Publish(&h, 1, {"oldest"});
  Publish(&h, 2, {"second"});
  // Five hundred rows in between that go.
  for (uint64_t position = 3; position < 503; ++position) {
    Publish(&h, position, {StrCat("short", position)}, absl::Seconds(1));
  }
  Publish(&h, 503, {"newest"});
  h.Advance(absl::Seconds(1));
  h.Compact();
  EXPECT_EQ(AllPages(&h, 100), "reply 2: [newest second oldest]\n");
  EXPECT_EQ(AllPages(&h, 1),
            "reply 2: [newest] and more\n"
            "reply 2: [second] and more\n"
            "reply 2: [oldest] and more\n"
            "reply 2: []\n");
}

TEST(ResultListTest, ExpiredRowsThatCompactionHasLeftAreSkipped) {
  CoreHarness h;
  Publish(&h, 1, {"oldest"});
  for (uint64_t position = 2; position < 202; ++position) {
    Publish(&h, position, {StrCat("short", position)}, absl::Seconds(1));
  }
  h.Advance(absl::Seconds(1));
  EXPECT_EQ(AllPages(&h, 100), "reply 2: [oldest]\n");
}

}  // namespace
}  // namespace apium::results
