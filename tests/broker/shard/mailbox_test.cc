#include "broker/shard/mailbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// Small enough to fill by hand: 4 commands and 100 bytes, and half of that in
// reserve.
MailboxLimits SmallLimits() {
  return {.commands_max = 4,
          .bytes_max = 100,
          .reserved_commands = 2,
          .reserved_bytes = 50};
}

Command Get(const std::string& task_id) {
  GetTaskCommand command;
  command.task_id = task_id;
  return command;
}

std::vector<QueuedCommand> Gets(int count, size_t bytes = 0) {
  std::vector<QueuedCommand> commands;
  for (int i = 0; i < count; ++i) {
    commands.push_back({Get(std::to_string(i)), 1, bytes});
  }
  return commands;
}

std::vector<std::string> IdsOf(const std::vector<QueuedCommand>& commands) {
  std::vector<std::string> ids;
  for (const QueuedCommand& queued : commands) {
    ids.push_back(std::get<GetTaskCommand>(queued.command).task_id);
  }
  return ids;
}

class CountingWaiter : public MailboxWaiter {
 public:
  void OnMailboxRoom() override { ++calls; }
  int calls = 0;
};

TEST(MailboxTest, GivesCommandsInTheOrderInWhichTheyWerePushed) {
  Mailbox mailbox(SmallLimits());
  APIUM_ASSERT_OK(mailbox.Push(Get("a"), MailboxShare::kOrdinary));
  auto more = Gets(2);
  APIUM_ASSERT_OK(mailbox.PushAll(&more, MailboxShare::kOrdinary));
  EXPECT_TRUE(more.empty());
  std::vector<QueuedCommand> taken;
  mailbox.Take(&taken, absl::ZeroDuration());
  EXPECT_THAT(IdsOf(taken), testing::ElementsAre("a", "0", "1"));
}

TEST(MailboxTest, RefusesOrdinaryCommandsWhenFullAndSaysWhenToTryAgain) {
  Mailbox mailbox(SmallLimits());
  auto commands = Gets(4);
  APIUM_ASSERT_OK(mailbox.PushAll(&commands, MailboxShare::kOrdinary));
  EXPECT_TRUE(mailbox.full());
  const absl::Status refused =
      mailbox.Push(Get("late"), MailboxShare::kOrdinary);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted,
                                testing::HasSubstr("4 commands")));
  EXPECT_THAT(refused, HasReason("MAILBOX_FULL"));
  EXPECT_TRUE(RetryDelayOf(refused).has_value());
}

TEST(MailboxTest, CountsBytesAgainstTheLimit) {
  Mailbox mailbox(SmallLimits());
  APIUM_ASSERT_OK(mailbox.Push(Get("a"), MailboxShare::kOrdinary, 60));
  EXPECT_THAT(mailbox.Push(Get("b"), MailboxShare::kOrdinary, 60),
              HasReason("MAILBOX_FULL"));
  APIUM_EXPECT_OK(mailbox.Push(Get("c"), MailboxShare::kOrdinary, 40));
}

TEST(MailboxTest, KeepsAReserveForReportsWhenSubmitsHaveFilledIt) {
  Mailbox mailbox(SmallLimits());
  auto submits = Gets(4);
  APIUM_ASSERT_OK(mailbox.PushAll(&submits, MailboxShare::kOrdinary));
  APIUM_EXPECT_OK(mailbox.Push(Get("report"), MailboxShare::kReserved));
  APIUM_EXPECT_OK(mailbox.Push(Get("report"), MailboxShare::kReserved));
  EXPECT_THAT(mailbox.Push(Get("report"), MailboxShare::kReserved),
              HasReason("MAILBOX_FULL"));
  APIUM_EXPECT_OK(mailbox.Push(Get("gone"), MailboxShare::kUnbounded));
}

TEST(MailboxTest, TakesAllOfABatchOrNothing) {
  Mailbox mailbox(SmallLimits());
  APIUM_ASSERT_OK(mailbox.Push(Get("a"), MailboxShare::kOrdinary));
  auto batch = Gets(4);
  EXPECT_THAT(mailbox.PushAll(&batch, MailboxShare::kOrdinary),
              HasReason("MAILBOX_FULL"));
  EXPECT_EQ(batch.size(), 4u);
  EXPECT_EQ(mailbox.commands(), 1u);
}

TEST(MailboxTest, TakesAnythingWhenEmpty) {
  Mailbox mailbox(SmallLimits());
  auto batch = Gets(10, 1000);
  APIUM_EXPECT_OK(mailbox.PushAll(&batch, MailboxShare::kOrdinary));
}

TEST(MailboxTest, FreesRoomWhenCommandsAreRetiredNotWhenTheyAreTaken) {
  Mailbox mailbox(SmallLimits());
  auto batch = Gets(4, 10);
  APIUM_ASSERT_OK(mailbox.PushAll(&batch, MailboxShare::kOrdinary));
  std::vector<QueuedCommand> taken;
  mailbox.Take(&taken, absl::ZeroDuration());
  EXPECT_THAT(mailbox.Push(Get("b"), MailboxShare::kOrdinary),
              HasReason("MAILBOX_FULL"));
  mailbox.Retire(4, 40);
  APIUM_EXPECT_OK(mailbox.Push(Get("b"), MailboxShare::kOrdinary, 100));
}

TEST(MailboxTest, CallsAWaiterOnceWhenThereIsRoom) {
  Mailbox mailbox(SmallLimits());
  auto waiter = std::make_shared<CountingWaiter>();
  auto first = Gets(4);
  EXPECT_THAT(mailbox.PushAllOrWait(&first, MailboxShare::kOrdinary, waiter),
              IsOkAndHolds(true));
  auto second = Gets(2);
  EXPECT_THAT(mailbox.PushAllOrWait(&second, MailboxShare::kOrdinary, waiter),
              IsOkAndHolds(false));
  EXPECT_EQ(second.size(), 2u);
  EXPECT_EQ(waiter->calls, 0);
  mailbox.Retire(2, 0);
  EXPECT_EQ(waiter->calls, 1);
  EXPECT_THAT(mailbox.PushAllOrWait(&second, MailboxShare::kOrdinary, waiter),
              IsOkAndHolds(true));
  mailbox.Retire(2, 0);
  EXPECT_EQ(waiter->calls, 1);
}

TEST(MailboxTest, ForgetsAWaiterThatHasGone) {
  Mailbox mailbox(SmallLimits());
  auto first = Gets(4);
  APIUM_ASSERT_OK(mailbox.PushAll(&first, MailboxShare::kOrdinary));
  auto waiter = std::make_shared<CountingWaiter>();
  auto second = Gets(2);
  EXPECT_THAT(mailbox.PushAllOrWait(&second, MailboxShare::kOrdinary, waiter),
              IsOkAndHolds(false));
  waiter.reset();
  mailbox.Retire(4, 0);
}

TEST(MailboxTest, WakesAShardThatSleeps) {
  Mailbox mailbox(SmallLimits());
  std::thread pusher([&mailbox] {
    APIUM_EXPECT_OK(mailbox.Push(Get("a"), MailboxShare::kOrdinary));
  });
  std::vector<QueuedCommand> taken;
  mailbox.Take(&taken, kLong);
  pusher.join();
  EXPECT_EQ(taken.size(), 1u);
}

TEST(MailboxTest, WakeEndsOneTakeWithoutCommands) {
  Mailbox mailbox(SmallLimits());
  mailbox.Wake();
  EXPECT_TRUE(mailbox.HasWork());
  std::vector<QueuedCommand> taken;
  mailbox.Take(&taken, kLong);
  EXPECT_TRUE(taken.empty());
  EXPECT_FALSE(mailbox.HasWork());
}

TEST(MailboxTest, RefusesEverythingOnceClosedAndKeepsWhatItHas) {
  Mailbox mailbox(SmallLimits());
  APIUM_ASSERT_OK(mailbox.Push(Get("a"), MailboxShare::kOrdinary));
  mailbox.Close(
      WithReason(absl::UnavailableError("stopping"), reason::kShuttingDown));
  EXPECT_THAT(mailbox.Push(Get("b"), MailboxShare::kUnbounded),
              HasReason("SHUTTING_DOWN"));
  auto batch = Gets(1);
  EXPECT_THAT(mailbox.PushAllOrWait(&batch, MailboxShare::kReserved, {}),
              StatusIs(absl::StatusCode::kUnavailable));
  std::vector<QueuedCommand> taken;
  mailbox.Take(&taken, kLong);
  EXPECT_THAT(IdsOf(taken), testing::ElementsAre("a"));
}

TEST(MailboxTest, LosesNothingBetweenManyPushersAndOneTaker) {
  Mailbox mailbox({.commands_max = 64});
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::vector<std::thread> pushers;
  for (int t = 0; t < kThreads; ++t) {
    pushers.emplace_back([&mailbox, t] {
      for (int i = 0; i < kEach;) {
        GetTaskCommand command;
        command.namespace_name = std::to_string(t);
        command.task_id = std::to_string(i);
        if (mailbox.Push(std::move(command), MailboxShare::kOrdinary).ok()) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
  }
  std::vector<int> next(kThreads, 0);
  std::vector<QueuedCommand> taken;
  for (int total = 0; total < kThreads * kEach;) {
    taken.clear();
    mailbox.Take(&taken, kLong);
    for (const QueuedCommand& queued : taken) {
      const auto& get = std::get<GetTaskCommand>(queued.command);
      ASSERT_EQ(get.task_id,
                std::to_string(next[std::stoi(get.namespace_name)]++));
    }
    total += static_cast<int>(taken.size());
    mailbox.Retire(taken.size(), 0);
  }
  for (std::thread& pusher : pushers) pusher.join();
  EXPECT_EQ(mailbox.commands(), 0u);
}

}  // namespace
}  // namespace apium::broker
