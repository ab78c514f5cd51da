#include "broker/shard/group_commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/clock.h"
#include "storage/memory_store.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// Remembers in words what it was told.
class Recorder : public ReplySink, public WorkerSink, public OutboxSink {
 public:
  void Take(uint64_t tag, Reply&&) override { Add(std::to_string(tag)); }
  void Take(WorkerPush&&) override { Add("push"); }
  void Take(OutboxEntry&& entry) override {
    Add("outbox " + std::to_string(entry.position));
  }
  void Flush() override { Add("flush"); }

  std::vector<std::string> events() {
    absl::MutexLock lock(&mu_);
    return events_;
  }
  void WaitFor(size_t count) {
    absl::MutexLock lock(&mu_);
    wanted_ = count;
    mu_.AwaitWithTimeout(absl::Condition(
                             +[](Recorder* r) {
                               r->mu_.AssertHeld();
                               return r->events_.size() >= r->wanted_;
                             },
                             this),
                         kLong);
  }

 private:
  void Add(std::string event) {
    absl::MutexLock lock(&mu_);
    events_.push_back(std::move(event));
  }

  absl::Mutex mu_;
  std::vector<std::string> events_;
  size_t wanted_ = 0;
};

class GroupCommitTest : public testing::Test {
 protected:
  GroupCommitTest()
      : store_(std::make_unique<MemoryStore>()),
        recorder_(std::make_shared<Recorder>()) {
    Make({});
  }
  ~GroupCommitTest() override { store_.ReleaseSyncs(); }

  void Make(GroupCommitOptions options) {
    commit_ = std::make_unique<GroupCommit>(options, &store_, recorder_.get(),
                                            nullptr, SystemClock::Get(),
                                            [this](const absl::Status& status) {
                                              fatal_ = status;
                                              ++fatal_count_;
                                              failed_.Notify();
                                            });
  }

  // A turn that answers `tag`, with a write unless told otherwise.
  std::unique_ptr<Turn> TurnWith(uint64_t tag, bool write = true) {
    std::unique_ptr<Turn> turn = commit_->NewTurn();
    if (turn == nullptr) return nullptr;
    if (write) turn->effects.writes.Put("k" + std::to_string(tag), "v");
    turn->effects.replies.push_back({{recorder_, tag}, {StatusReply{}}});
    turn->items = 1;
    return turn;
  }
  void Submit(uint64_t tag, bool write = true,
              ShardLoad load = ShardLoad::kBusy) {
    commit_->Submit(TurnWith(tag, write), load);
  }

  FaultInjectingStore store_;
  std::shared_ptr<Recorder> recorder_;
  absl::Status fatal_;
  int fatal_count_ = 0;
  absl::Notification failed_;
  std::unique_ptr<GroupCommit> commit_;
};

TEST_F(GroupCommitTest, ReleasesNothingBeforeItsWritesAreSynced) {
  store_.HoldSyncs();
  Submit(1);
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
  std::string value;
  APIUM_EXPECT_OK(store_.Get("k1", &value));  // written, for the engine to read
  store_.ReleaseSyncs();
  commit_->Drain();
  EXPECT_THAT(recorder_->events(), testing::ElementsAre("1", "flush"));
}

TEST_F(GroupCommitTest, SyncsAllTurnsThatWaitAtOnce) {
  store_.HoldSyncs();
  Submit(1);
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  Submit(2);
  Submit(3);
  store_.ReleaseSyncs();
  commit_->Drain();
  EXPECT_EQ(store_.sync_count(), 2u);
  EXPECT_THAT(recorder_->events(),
              testing::ElementsAre("1", "flush", "2", "3", "flush"));
}

TEST_F(GroupCommitTest, DoesNotSyncForTurnsThatWroteNothing) {
  Submit(1, false);
  commit_->Drain();
  EXPECT_EQ(store_.sync_count(), 0u);
  EXPECT_THAT(recorder_->events(), testing::ElementsAre("1", "flush"));
}

TEST_F(GroupCommitTest, HoldsAReadOnlyAnswerBackUntilEarlierWritesAreSynced) {
  store_.HoldSyncs();
  Submit(1);
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  Submit(2, false, ShardLoad::kIdle);
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
  store_.ReleaseSyncs();
  commit_->Drain();
  EXPECT_THAT(recorder_->events(),
              testing::ElementsAre("1", "flush", "2", "flush"));
}

TEST_F(GroupCommitTest, CommitsOnTheShardsThreadWhenNothingElseGoesOn) {
  std::thread::id released_on;
  class ThreadSink : public ReplySink {
   public:
    explicit ThreadSink(std::thread::id* id) : id_(id) {}
    void Take(uint64_t, Reply&&) override { *id_ = std::this_thread::get_id(); }

   private:
    std::thread::id* id_;
  };
  std::unique_ptr<Turn> turn = commit_->NewTurn();
  turn->effects.writes.Put("k", "v");
  turn->effects.replies.push_back(
      {{std::make_shared<ThreadSink>(&released_on), 0}, {StatusReply{}}});
  commit_->Submit(std::move(turn), ShardLoad::kIdle);
  EXPECT_EQ(released_on, std::this_thread::get_id());
}

TEST_F(GroupCommitTest, ReleasesRepliesThenPushesThenTheOutbox) {
  std::unique_ptr<Turn> turn = TurnWith(1);
  turn->effects.outbox.push_back({.position = 7, .outcomes = {}});
  turn->effects.pushes.push_back({recorder_, {OutcomeAcknowledged{}}});
  commit_->Submit(std::move(turn), ShardLoad::kBusy);
  commit_->Drain();
  EXPECT_THAT(
      recorder_->events(),
      testing::ElementsAre("1", "push", "outbox 7", "flush", "flush", "flush"));
}

TEST_F(GroupCommitTest, FlushesEachSinkOnceHoweverItsAnswersAreMixed) {
  auto other = std::make_shared<Recorder>();
  std::unique_ptr<Turn> turn = commit_->NewTurn();
  turn->effects.writes.Put("k", "v");
  for (uint64_t tag = 0; tag < 3; ++tag) {
    turn->effects.replies.push_back({{recorder_, tag}, {StatusReply{}}});
    turn->effects.replies.push_back({{other, tag}, {StatusReply{}}});
  }
  commit_->Submit(std::move(turn), ShardLoad::kBusy);
  commit_->Drain();
  EXPECT_THAT(recorder_->events(),
              testing::ElementsAre("0", "1", "2", "flush"));
  EXPECT_THAT(other->events(), testing::ElementsAre("0", "1", "2", "flush"));
}

TEST_F(GroupCommitTest, MakesTheShardWaitWhileTooManyTurnsAreOnTheirWay) {
  Make({.turns_max = 2});
  store_.HoldSyncs();
  Submit(1);
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  Submit(2);
  absl::Notification got_turn;
  std::thread shard([this, &got_turn] {
    Submit(3);
    got_turn.Notify();
  });
  // Not proof of waiting, but it fails now and then if there were none.
  EXPECT_FALSE(got_turn.HasBeenNotified());
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
  store_.ReleaseSyncs();
  EXPECT_TRUE(got_turn.WaitForNotificationWithTimeout(kLong));
  shard.join();
  commit_->Drain();
  EXPECT_EQ(recorder_->events().front(), "1");
}

TEST_F(GroupCommitTest, AFailedSyncIsFinalAndReleasesNothing) {
  store_.FailSyncs(absl::UnavailableError("disk gone"));
  Submit(1);
  ASSERT_TRUE(failed_.WaitForNotificationWithTimeout(kLong));
  EXPECT_THAT(fatal_, StatusIs(absl::StatusCode::kUnavailable,
                               testing::HasSubstr("disk gone")));
  EXPECT_EQ(commit_->NewTurn(), nullptr);
  commit_->Drain();
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
  EXPECT_THAT(commit_->failure(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GroupCommitTest, AFailedSyncTakesTheTurnsBehindItAlong) {
  Make({.turns_max = 4});
  store_.HoldSyncs();
  Submit(1);
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  Submit(2);
  store_.FailSyncs(absl::UnavailableError("disk gone"));
  store_.ReleaseSyncs();
  ASSERT_TRUE(failed_.WaitForNotificationWithTimeout(kLong));
  commit_.reset();
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
  EXPECT_EQ(fatal_count_, 1);
}

TEST_F(GroupCommitTest, AFailedWriteIsFinal) {
  store_.FailWrites(absl::ResourceExhaustedError("disk full"));
  Submit(1, true, ShardLoad::kIdle);
  ASSERT_TRUE(failed_.HasBeenNotified());
  EXPECT_THAT(fatal_, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(commit_->NewTurn(), nullptr);
  EXPECT_THAT(recorder_->events(), testing::IsEmpty());
}

TEST_F(GroupCommitTest, CommitsEverythingBeforeItGoes) {
  for (uint64_t tag = 1; tag <= 20; ++tag) Submit(tag);
  commit_.reset();
  int answers = 0;
  for (const std::string& event : recorder_->events()) {
    if (event != "flush") ++answers;
  }
  EXPECT_EQ(answers, 20);
}

}  // namespace
}  // namespace apium::broker
