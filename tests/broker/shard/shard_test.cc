#include "broker/shard/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "broker/engine/engine.h"
#include "broker/shard/group_commit.h"
#include "broker/shard/mailbox.h"
#include "common/error_reason.h"
#include "storage/memory_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_injecting_store.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// Keeps the first reply of each tag.
class Replies : public ReplySink {
 public:
  void Take(uint64_t tag, Reply&& reply) override {
    absl::MutexLock lock(&mu_);
    replies_.emplace_back(tag, std::move(reply));
  }
  // Waits for `count` replies; their tags in order.
  std::vector<uint64_t> Tags(size_t count) {
    absl::MutexLock lock(&mu_);
    Await(count);
    std::vector<uint64_t> tags;
    for (const auto& [tag, reply] : replies_) tags.push_back(tag);
    return tags;
  }
  template <typename Body>
  Body Get(size_t index) {
    absl::MutexLock lock(&mu_);
    Await(index + 1);
    return std::get<Body>(replies_.at(index).second.body);
  }

 private:
  void Await(size_t count) {
    wanted_ = count;
    mu_.AwaitWithTimeout(absl::Condition(
                             +[](Replies* replies) {
                               replies->mu_.AssertHeld();
                               return replies->replies_.size() >=
                                      replies->wanted_;
                             },
                             this),
                         kLong);
  }

  absl::Mutex mu_;
  std::vector<std::pair<uint64_t, Reply>> replies_;
  size_t wanted_ = 0;
};

class ShardTest : public testing::Test {
 protected:
  ShardTest()
      : store_(std::make_unique<MemoryStore>()),
        mailbox_(MailboxLimits()),
        replies_(std::make_shared<Replies>()) {
    commit_ = std::make_unique<GroupCommit>(GroupCommitOptions(), &store_,
                                            nullptr, nullptr, &clock_,
                                            [this](const absl::Status& status) {
                                              fatal_ = status;
                                              failed_.Notify();
                                            });
  }
  ~ShardTest() override { store_.ReleaseSyncs(); }

  void StartShard() {
    auto engine = Engine::Recover(EngineOptions(), &store_, clock_.Now());
    APIUM_ASSERT_OK(engine);
    shard_ =
        std::make_unique<Shard>(TurnLimits(), *std::move(engine), &mailbox_,
                                commit_.get(), &clock_, &confirmed_);
  }

  SubmitCommand Submit(uint64_t tag, std::string task_id = "") {
    SubmitCommand command;
    command.reply = {replies_, tag};
    command.content = std::make_shared<TaskContent>();
    command.content->namespace_name = "default";
    command.content->queue = "default";
    command.content->type = "t";
    command.content->task_id = std::move(task_id);
    return command;
  }

  FaultInjectingStore store_;
  FakeClock clock_;
  Mailbox mailbox_;
  std::shared_ptr<Replies> replies_;
  absl::Status fatal_;
  absl::Notification failed_;
  std::atomic<uint64_t> confirmed_{0};
  std::unique_ptr<GroupCommit> commit_;
  std::unique_ptr<Shard> shard_;
};

TEST_F(ShardTest, AppliesCommandsAndAnswersWhenTheyAreDurable) {
  StartShard();
  APIUM_ASSERT_OK(mailbox_.Push(Submit(1), MailboxShare::kOrdinary));
  EXPECT_THAT(replies_->Tags(1), testing::ElementsAre(1));
  APIUM_EXPECT_OK(replies_->Get<SubmitReply>(0).status);
  EXPECT_EQ(static_cast<MemoryStore&>(store_.wrapped()).unsynced_writes(), 0u);
}

TEST_F(ShardTest, AnswersInTheOrderOfTheCommands) {
  StartShard();
  std::vector<uint64_t> expected;
  for (uint64_t tag = 0; tag < 10'000; ++tag) {
    APIUM_ASSERT_OK(mailbox_.Push(Submit(tag), MailboxShare::kOrdinary));
    expected.push_back(tag);
  }
  EXPECT_EQ(replies_->Tags(10'000), expected);
}

TEST_F(ShardTest, TurnsByItselfWhenTimePasses) {
  StartShard();
  WaitTaskCommand wait;
  APIUM_ASSERT_OK(mailbox_.Push(Submit(1, "a"), MailboxShare::kOrdinary));
  wait.reply = {replies_, 2};
  wait.namespace_name = "default";
  wait.task_id = "a";
  wait.deadline = clock_.Now() + absl::Minutes(5);
  APIUM_ASSERT_OK(mailbox_.Push(std::move(wait), MailboxShare::kOrdinary));
  EXPECT_THAT(replies_->Tags(1), testing::ElementsAre(1));
  clock_.Advance(absl::Minutes(5));
  EXPECT_THAT(replies_->Get<TaskReply>(1).status, HasReason("WAIT_TIMEOUT"));
}

TEST_F(ShardTest, GoesOnWhenTheWallClockIsSetBack) {
  StartShard();
  SubmitCommand delayed = Submit(1, "a");
  delayed.delay = absl::Seconds(5);
  clock_.SetNow(clock_.Now() - absl::Hours(1));
  APIUM_ASSERT_OK(mailbox_.Push(std::move(delayed), MailboxShare::kOrdinary));
  replies_->Tags(1);
  clock_.Advance(absl::Seconds(6));
  GetTaskCommand get;
  get.reply = {replies_, 2};
  get.namespace_name = "default";
  get.task_id = "a";
  APIUM_ASSERT_OK(mailbox_.Push(get, MailboxShare::kOrdinary));
  const auto read = replies_->Get<TaskReply>(1);
  APIUM_ASSERT_OK(read.status);
  EXPECT_EQ(read.task.state, TaskState::kQueued);
}

TEST_F(ShardTest, CommitsWhatItHasAcceptedBeforeItStops) {
  StartShard();
  store_.HoldSyncs();
  for (uint64_t tag = 0; tag < 100; ++tag) {
    APIUM_ASSERT_OK(mailbox_.Push(Submit(tag), MailboxShare::kOrdinary));
  }
  ASSERT_TRUE(store_.WaitForHeldSync(kLong));
  store_.ReleaseSyncs();
  shard_->Stop(absl::UnavailableError("stopping"));
  EXPECT_EQ(replies_->Tags(100).size(), 100u);
  EXPECT_THAT(mailbox_.Push(Submit(1), MailboxShare::kOrdinary),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ShardTest, TellsTheEngineOfConfirmationsOnce) {
  StartShard();
  // A task that ends makes outbox position 1.
  APIUM_ASSERT_OK(mailbox_.Push(Submit(1, "a"), MailboxShare::kOrdinary));
  CancelTaskCommand cancel;
  cancel.reply = {replies_, 2};
  cancel.namespace_name = "default";
  cancel.task_id = "a";
  APIUM_ASSERT_OK(mailbox_.Push(std::move(cancel), MailboxShare::kOrdinary));
  replies_->Tags(2);
  shard_->ConfirmOutbox(1);
  // The next turn carries it out.
  GetTaskCommand get;
  get.reply = {replies_, 3};
  get.namespace_name = "default";
  get.task_id = "a";
  APIUM_ASSERT_OK(mailbox_.Push(get, MailboxShare::kOrdinary));
  replies_->Tags(3);
  shard_->Stop(absl::UnavailableError("stopping"));
  EXPECT_EQ(confirmed_.load(), 1u);
}

TEST_F(ShardTest, StopsForEverWhenTheStoreFails) {
  StartShard();
  APIUM_ASSERT_OK(mailbox_.Push(Submit(1), MailboxShare::kOrdinary));
  replies_->Tags(1);
  store_.FailSyncs(absl::UnavailableError("disk gone"));
  APIUM_ASSERT_OK(mailbox_.Push(Submit(2), MailboxShare::kOrdinary));
  ASSERT_TRUE(failed_.WaitForNotificationWithTimeout(kLong));
  EXPECT_THAT(fatal_, StatusIs(absl::StatusCode::kUnavailable));
  while (!mailbox_.closed()) std::this_thread::yield();
  EXPECT_THAT(mailbox_.Push(Submit(3), MailboxShare::kOrdinary),
              HasReason("STORE_FAILED"));
  EXPECT_THAT(replies_->Tags(1), testing::ElementsAre(1));
}

}  // namespace
}  // namespace apium::broker
