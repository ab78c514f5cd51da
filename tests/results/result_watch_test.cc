// Watching: from a cursor, each outcome once, in recorded order, at the pace of
// the client.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "results/result_core.h"
#include "tests/results/core_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

// Publishes `outcomes` as one group; the positions go on by themselves.
class Publisher {
 public:
  explicit Publisher(CoreHarness* h) : h_(h) {}

  std::string Publish(const std::vector<v1::TaskOutcome>& outcomes) {
    h_->Hello(1, "s1");
    h_->Publish(1, ++position_, outcomes);
    h_->EndPublish(1);
    return h_->Step();
  }
  std::string Publish(const std::string& id) { return Publish({Outcome(id)}); }

 private:
  CoreHarness* const h_;
  uint64_t position_ = 0;
};

v1::TaskOutcome WithTtl(v1::TaskOutcome outcome, absl::Duration ttl) {
  DurationToProto(ttl, outcome.mutable_result_ttl());
  return outcome;
}

// A small window, so that a few outcomes fill it.
ResultCoreOptions SmallWindow() {
  ResultCoreOptions options;
  options.watches.in_flight_bytes_max = 400;
  options.watches.message_bytes_max = 200;
  return options;
}

TEST(ResultWatchTest, BeginsWithACursorAndThenFollows) {
  CoreHarness h;
  Publisher publisher(&h);
  publisher.Publish("before");
  h.Watch(5, "");
  EXPECT_EQ(h.StepAll(), "push 5: []\n");
  EXPECT_EQ(publisher.Publish({Outcome("a"), Outcome("b")}), "push 5: [a b]\n");
  EXPECT_EQ(publisher.Publish("c"), "push 5: [c]\n");
}

TEST(ResultWatchTest, FromZeroGivesTheOldestFirst) {
  CoreHarness h;
  Publisher publisher(&h);
  publisher.Publish({Outcome("a"), Outcome("b")});
  publisher.Publish("c");
  h.Watch(5, "0");
  EXPECT_EQ(h.StepAll(), "push 5: []\npush 5: [a b c]\n");
  EXPECT_EQ(publisher.Publish("d"), "push 5: [d]\n");
}

TEST(ResultWatchTest, EachCursorResumesExactlyBehindWhatCameBefore) {
  CoreHarness h;
  Publisher publisher(&h);
  std::vector<std::string> cursors;
  h.Watch(5, "");
  h.Step();
  cursors.push_back(h.cursor(5));
  for (const char* id : {"a", "b", "c"}) {
    publisher.Publish(id);
    cursors.push_back(h.cursor(5));
  }
  h.EndWatch(5);
  h.Restart();
  const char* expected[] = {"push 6: []\npush 6: [a b c]\n",
                            "push 6: []\npush 6: [b c]\n",
                            "push 6: []\npush 6: [c]\n", "push 6: []\n"};
  for (size_t i = 0; i < cursors.size(); ++i) {
    h.Watch(6, cursors[i]);
    EXPECT_EQ(h.StepAll(), expected[i]) << i;
    h.EndWatch(6);
  }
}

TEST(ResultWatchTest, WatchThatBeginsWithAPublishSeesItOnce) {
  CoreHarness h;
  h.Watch(5, "");
  h.Hello(1, "s1");
  h.Publish(1, 1, {Outcome("a")});
  h.Watch(6, "");
  EXPECT_EQ(h.StepAll(),
            "confirm 1: 1 (2 done)\n"
            "push 5: []\npush 6: []\npush 5: [a]\npush 6: [a]\n");
}

TEST(ResultWatchTest, FilterAndViewHoldLiveAndFromTheStore) {
  CoreHarness h;
  Publisher publisher(&h);
  v1::TaskOutcome mail = Outcome("old-mail");
  mail.set_queue("mail");
  publisher.Publish({Outcome("x"), mail});
  std::vector<std::string> data;
  h.on_release = [&](const ResultEffects& effects) {
    for (const WatchPush& push : effects.pushes) {
      for (const v1::TaskOutcome& outcome : push.message.outcomes()) {
        data.push_back(outcome.result().data());
      }
    }
  };
  h.Watch(5, "0", {.queue = "mail"}, /*with_data=*/false);
  h.Watch(6, "0", {.queue = "mail"}, /*with_data=*/true);
  EXPECT_EQ(h.StepAll(),
            "push 5: []\npush 6: []\npush 5: [old-mail]\npush 6: [old-mail]\n");
  mail.set_task_id("new-mail");
  EXPECT_EQ(publisher.Publish({Outcome("y"), mail}),
            "push 5: [new-mail]\npush 6: [new-mail]\n");
  EXPECT_THAT(data, testing::ElementsAre("", "r-old-mail", "", "r-old-mail"));
}

TEST(ResultWatchTest, OtherNamespacesAreNotSeen) {
  CoreHarness h;
  Publisher publisher(&h);
  h.Watch(5, "");
  h.Step();
  v1::TaskOutcome other = Outcome("a");
  other.set_namespace_("other");
  EXPECT_EQ(publisher.Publish({other}), "");
}

TEST(ResultWatchTest, SlowClientIsPushedNoMoreThanItsWindowAndMissesNothing) {
  CoreHarness h(SmallWindow());
  Publisher publisher(&h);
  h.Watch(5, "");
  h.Step();
  std::string seen;
  std::string expected;
  for (int i = 0; i < 100; ++i) {
    seen += publisher.Publish(StrCat("id", i));
    StrAppend(&expected, "id", i, " ");
  }
  // It stopped early, and costs no more than its window and one message.
  EXPECT_LT(h.pushed_bytes(5), 800u);
  EXPECT_EQ(h.core().NextWake(), absl::InfiniteDuration());
  size_t taken = 0;
  while (taken < h.pushed_bytes(5)) {
    h.Taken(5, h.pushed_bytes(5) - taken);
    taken = h.pushed_bytes(5);
    seen += h.StepAll();
    EXPECT_LT(h.pushed_bytes(5) - taken, 800u);
  }
  std::string ids;
  for (absl::string_view line : absl::StrSplit(seen, '\n', absl::SkipEmpty())) {
    const absl::string_view list = line.substr(line.find('[') + 1);
    StrAppend(&ids, list.substr(0, list.size() - 1), " ");
  }
  EXPECT_EQ(ids, expected);
  // And is pushed again as they come.
  EXPECT_EQ(publisher.Publish("last"), "push 5: [last]\n");
}

TEST(ResultWatchTest, CursorInTheMiddleOfARowResumesThere) {
  CoreHarness h(SmallWindow());
  Publisher publisher(&h);
  h.Watch(5, "");
  h.Step();
  std::vector<v1::TaskOutcome> outcomes;
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    outcomes.push_back(Outcome(StrCat("id", i)));
  }
  std::string seen = publisher.Publish(outcomes);
  ASSERT_THAT(seen, testing::HasSubstr("id0 "));
  ASSERT_THAT(seen, testing::Not(testing::HasSubstr("id29")));
  std::string cursor = h.cursor(5);
  h.EndWatch(5);
  for (uint64_t stream = 6; stream < 40; ++stream) {
    h.Restart();
    h.Watch(stream, cursor);
    seen += h.StepAll();
    cursor = h.cursor(stream);
  }
  for (int i = 0; i < 30; ++i) {
    const std::string id = StrCat("id", i);
    int times = 0;
    for (absl::string_view word :
         absl::StrSplit(seen, absl::ByAnyChar(" []\n"))) {
      times += word == id;
    }
    EXPECT_EQ(times, 1) << id;
  }
}

TEST(ResultWatchTest, WrongCursorsAreRefused) {
  CoreHarness h;
  Publisher(&h).Publish("a");
  h.Watch(5, "garbage");
  EXPECT_EQ(h.Step(), "end 5: INVALID_ARGUMENT / INVALID_FIELD\n");
  // Of another namespace.
  const Cursor cursor = {.kind = CursorKind::kWatch,
                         .store = 1,
                         .scope = WatchScope("default"),
                         .place = {.position = 1}};
  // Of another store.
  h.Watch(6, EncodeCursor(cursor));
  EXPECT_EQ(h.Step(), "end 6: OUT_OF_RANGE / CURSOR_EXPIRED\n");
  h.Watch(7, "");
  h.Step();
  Cursor mine = *DecodeCursor(CursorKind::kWatch, h.cursor(7));
  mine.scope = WatchScope("other");
  h.Watch(8, EncodeCursor(mine));
  EXPECT_EQ(h.Step(), "end 8: INVALID_ARGUMENT / INVALID_FIELD\n");
  // Ahead of what there is: the store was set back.
  mine.scope = WatchScope("default");
  mine.place.position += 1;
  h.Watch(9, EncodeCursor(mine));
  EXPECT_EQ(h.Step(), "end 9: OUT_OF_RANGE / CURSOR_EXPIRED\n");
}

TEST(ResultWatchTest, TooManyWatchersAreRefused) {
  ResultCoreOptions options;
  options.watches.watchers_max = 1;
  CoreHarness h(options);
  h.Watch(5, "");
  h.Watch(6, "");
  EXPECT_EQ(h.Step(),
            "push 5: []\nend 6: RESOURCE_EXHAUSTED / TOO_MANY_WATCHERS\n");
  h.EndWatch(5);
  h.Watch(7, "");
  EXPECT_EQ(h.Step(), "push 7: []\n");
}

TEST(ResultWatchTest, CursorExpiresWithWhatFollowedIt) {
  for (const bool compacted : {false, true}) {
    CoreHarness h({.result_ttl = absl::Hours(1)});
    Publisher publisher(&h);
    h.Watch(5, "");
    h.Step();
    const std::string cursor = h.cursor(5);
    h.EndWatch(5);
    publisher.Publish("a");
    h.Advance(absl::Minutes(59));
    publisher.Publish("b");
    h.Watch(6, cursor);
    EXPECT_EQ(h.StepAll(), "push 6: []\npush 6: [a b]\n");
    h.EndWatch(6);
    h.Advance(absl::Minutes(1));
    if (compacted) {
      h.Compact();
    }
    h.Watch(7, cursor);
    EXPECT_EQ(h.StepAll(),
              "push 7: []\nend 7: OUT_OF_RANGE / CURSOR_EXPIRED\n");
    // Zero begins with what is there.
    h.Watch(8, "0");
    EXPECT_EQ(h.StepAll(), "push 8: []\npush 8: [b]\n");
  }
}

TEST(ResultWatchTest, CursorExpiresWhenAllThatFollowedItIsGone) {
  CoreHarness h({.result_ttl = absl::Hours(1)});
  h.Watch(5, "");
  h.Step();
  Publisher(&h).Publish("a");
  const std::string at_the_end = h.cursor(5);
  h.EndWatch(5);
  h.Watch(6, "");
  h.Step();
  h.Advance(absl::Hours(2));
  h.Compact();
  // Nothing followed this one.
  h.Watch(7, at_the_end);
  EXPECT_EQ(h.StepAll(), "push 7: []\n");
}

TEST(ResultWatchTest, ShorterTtlsOfOthersDoNotExpireACursor) {
  for (const bool compacted : {false, true}) {
    CoreHarness h({.result_ttl = absl::Hours(1)});
    Publisher publisher(&h);
    h.Watch(5, "");
    h.Step();
    const std::string cursor = h.cursor(5);
    h.EndWatch(5);
    publisher.Publish({WithTtl(Outcome("short"), absl::Seconds(1))});
    publisher.Publish(
        {WithTtl(Outcome("short2"), absl::Seconds(1)), Outcome("a")});
    publisher.Publish({WithTtl(Outcome("short3"), absl::Seconds(1))});
    h.Advance(absl::Minutes(10));
    if (compacted) {
      h.Compact();
    }
    h.Watch(6, cursor);
    EXPECT_EQ(h.StepAll(), "push 6: []\npush 6: [a]\n");
    EXPECT_EQ(publisher.Publish("b"), "push 6: [b]\n");
  }
}

TEST(ResultWatchTest, CursorOfACatchUpIsAsYoungAsWhatWasRead) {
  CoreHarness h({.result_ttl = absl::Hours(1)});
  Publisher publisher(&h);
  h.Watch(5, "");
  h.Step();
  const std::string old_cursor = h.cursor(5);
  h.EndWatch(5);
  h.Advance(absl::Minutes(50));
  publisher.Publish("a");
  h.Watch(6, old_cursor);
  EXPECT_EQ(h.StepAll(), "push 6: []\npush 6: [a]\n");
  const std::string cursor = h.cursor(6);
  h.EndWatch(6);
  publisher.Publish({WithTtl(Outcome("short"), absl::Seconds(1))});
  h.Advance(absl::Minutes(15));
  // The row behind it is gone, but was never to be kept for an hour.
  h.Watch(7, cursor);
  EXPECT_EQ(h.StepAll(), "push 7: []\n");
}

TEST(ResultWatchTest, LongerTtlDoesNotHideThatItsNeighboursAreGone) {
  CoreHarness h({.result_ttl = absl::Hours(1)});
  Publisher publisher(&h);
  h.Watch(5, "");
  h.Step();
  const std::string cursor = h.cursor(5);
  h.EndWatch(5);
  publisher.Publish({Outcome("a"), WithTtl(Outcome("b"), absl::Hours(5))});
  h.Advance(absl::Hours(1));
  h.Watch(6, cursor);
  EXPECT_EQ(h.StepAll(), "push 6: []\nend 6: OUT_OF_RANGE / CURSOR_EXPIRED\n");
}

TEST(ResultWatchTest, WatcherThatMatchesLittleIsToldANewCursorInTime) {
  CoreHarness h({.result_ttl = absl::Hours(8)});
  Publisher publisher(&h);
  h.Watch(5, "", {.queue = "rare"});
  h.Step();
  std::string seen;
  for (int hour = 0; hour < 24; ++hour) {
    h.Advance(absl::Hours(1));
    seen += publisher.Publish(StrCat("noise", hour));
  }
  EXPECT_THAT(seen, testing::HasSubstr("push 5: []\n"));
  const std::string cursor = h.cursor(5);
  h.EndWatch(5);
  v1::TaskOutcome rare = Outcome("rare");
  rare.set_queue("rare");
  publisher.Publish({rare});
  h.Compact();
  h.Watch(6, cursor, {.queue = "rare"});
  EXPECT_EQ(h.StepAll(), "push 6: []\npush 6: [rare]\n");
}

TEST(ResultWatchTest, ManyWatchersCatchUpInTurn) {
  CoreHarness h;
  Publisher publisher(&h);
  for (int i = 0; i < 10; ++i) {
    std::vector<v1::TaskOutcome> outcomes;
    for (int j = 0; j < 100; ++j) {
      outcomes.push_back(Outcome(StrCat(i, "-", j)));
    }
    publisher.Publish(outcomes);
  }
  std::map<CallId, int> seen;
  h.on_release = [&](const ResultEffects& effects) {
    for (const WatchPush& push : effects.pushes) {
      seen[push.stream] += push.message.outcomes_size();
    }
  };
  for (uint64_t stream = 100; stream < 130; ++stream) {
    h.Watch(stream, "0");
  }
  h.StepAll();
  EXPECT_EQ(seen.size(), 30u);
  for (const auto& [stream, outcomes] : seen) {
    EXPECT_EQ(outcomes, 1000);
  }
}

TEST(ResultWatchTest, DamagedRowEndsTheWatchAndNotTheService) {
  CoreHarness h;
  Publisher publisher(&h);
  publisher.Publish("a");
  StoreBatch batch;
  batch.Put(LogKey("default", 1), std::string(8, '\x7f'));
  APIUM_ASSERT_OK(h.store().Write(batch));
  h.Watch(5, "0");
  h.List(6);
  EXPECT_EQ(h.StepAll(), "reply 6: DATA_LOSS\npush 5: []\nend 5: DATA_LOSS\n");
  h.Get(7, "a");
  EXPECT_EQ(h.Step(), "reply 7: a SUCCEEDED\n");
}

}  // namespace
}  // namespace apium::results
