#include "broker/service/task_to_proto.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "apium/v1/task.pb.h"

namespace apium::broker {
namespace {

const absl::Time kCreated = absl::FromUnixSeconds(1'700'000'000);

absl::Time At(int seconds) { return kCreated + absl::Seconds(seconds); }

// "submitted@0 leased@3#2" (seconds, attempt).
std::string HistoryText(const v1::Task& task) {
  std::string text;
  for (const v1::TaskEvent& event : task.history()) {
    absl::StrAppend(
        &text, text.empty() ? "" : " ",
        v1::TaskEventKind_Name(event.kind()).substr(sizeof("TASK_EVENT_KIND")),
        "@", event.time().seconds() - absl::ToUnixSeconds(kCreated));
    if (event.attempt() > 0) absl::StrAppend(&text, "#", event.attempt());
  }
  return text;
}

TaskSnapshot LiveTask(TaskState state) {
  auto content = std::make_shared<TaskContent>();
  content->task_id = "a";
  content->create_time = kCreated;
  return {.content = content, .state = state};
}

Outcome EndedTask() {
  return {.task_id = "a",
          .state = TaskState::kSucceeded,
          .attempt = 1,
          .create_time = kCreated,
          .start_time = At(3),
          .finish_time = At(5),
          .worker_id = "w1",
          .lease_time = At(2)};
}

v1::Task Full(const TaskSnapshot& snapshot) {
  v1::Task task;
  SnapshotToProto(snapshot, View::kFull, &task);
  return task;
}

TEST(TaskHistoryToProtoTest, AWaitingTaskWasSubmitted) {
  const v1::Task task = Full(LiveTask(TaskState::kQueued));
  EXPECT_EQ(HistoryText(task), "SUBMITTED@0");
  EXPECT_EQ(task.history(0).state(), v1::TASK_STATE_QUEUED);
}

TEST(TaskHistoryToProtoTest, ARunningTaskWasLeasedAndStarted) {
  TaskSnapshot snapshot = LiveTask(TaskState::kStarted);
  snapshot.attempt = 2;
  snapshot.worker_id = "w2";
  snapshot.lease_time = At(7);
  snapshot.start_time = At(8);
  snapshot.history.events = {
      {.kind = TaskEventKind::kRetried,
       .time = At(4),
       .attempt = 1,
       .failure = std::make_shared<Failure>(Failure{.type = "Boom"})},
      {.kind = TaskEventKind::kUpdated, .time = At(5)},
      {.kind = TaskEventKind::kCancelRequested, .time = At(9), .attempt = 2}};
  snapshot.history.dropped = 1;
  const v1::Task task = Full(snapshot);
  EXPECT_EQ(HistoryText(task),
            "SUBMITTED@0 RETRIED@4#1 UPDATED@5 LEASED@7#2 STARTED@8#2 "
            "CANCEL_REQUESTED@9#2");
  EXPECT_EQ(task.history(1).failure().type(), "Boom");
  EXPECT_EQ(task.history(3).worker_id(), "w2");
  EXPECT_EQ(task.dropped_events(), 1u);
}

TEST(TaskHistoryToProtoTest, AttemptsThatAreOverBeganToo) {
  TaskSnapshot snapshot = LiveTask(TaskState::kScheduled);
  snapshot.attempt = 3;
  snapshot.history.events = {
      {.kind = TaskEventKind::kRetried,
       .time = At(4),
       .attempt = 1,
       .worker_id = "w1",
       .lease_time = At(2),
       .start_time = At(3)},
      {.kind = TaskEventKind::kCancelRequested, .time = At(6), .attempt = 2},
      {.kind = TaskEventKind::kReturned,
       .time = At(7),
       .attempt = 2,
       .worker_id = "w2",
       .lease_time = At(5)},
      {.kind = TaskEventKind::kCrashed,
       .time = At(10),
       .attempt = 3,
       .worker_id = "w1",
       .lease_time = At(8),
       .start_time = At(9)}};
  const v1::Task task = Full(snapshot);
  EXPECT_EQ(HistoryText(task),
            "SUBMITTED@0 LEASED@2#1 STARTED@3#1 RETRIED@4#1 LEASED@5#2 "
            "CANCEL_REQUESTED@6#2 RETURNED@7#2 LEASED@8#3 STARTED@9#3 "
            "CRASHED@10#3");
  EXPECT_EQ(task.history(4).worker_id(), "w2");
}

TEST(TaskHistoryToProtoTest, AFinishedTaskTellsTheSameLife) {
  TaskSnapshot snapshot{.state = TaskState::kSucceeded};
  snapshot.outcome = std::make_shared<Outcome>(EndedTask());
  const v1::Task task = Full(snapshot);
  EXPECT_EQ(HistoryText(task), "SUBMITTED@0 LEASED@2#1 STARTED@3#1 ENDED@5#1");
  EXPECT_EQ(task.history(3).state(), v1::TASK_STATE_SUCCEEDED);
  // The same from the result service.
  v1::TaskOutcome outcome;
  OutcomeToProto(*snapshot.outcome, View::kFull, &outcome);
  v1::Task finished;
  FinishedTaskToProto(std::move(outcome), View::kFull, &finished);
  EXPECT_EQ(finished.DebugString(), task.DebugString());
}

TEST(TaskHistoryToProtoTest, ACrashThatEndedTheTaskComesAfterItsBeginning) {
  Outcome outcome = EndedTask();
  outcome.state = TaskState::kFailed;
  outcome.history.events = {
      {.kind = TaskEventKind::kCrashed, .time = At(5), .attempt = 1}};
  TaskSnapshot snapshot{.state = TaskState::kFailed};
  snapshot.outcome = std::make_shared<Outcome>(outcome);
  EXPECT_EQ(HistoryText(Full(snapshot)),
            "SUBMITTED@0 LEASED@2#1 STARTED@3#1 CRASHED@5#1 ENDED@5#1");
}

TEST(TaskHistoryToProtoTest, ATaskThatEndedWhileItWaitedNeverBegan) {
  Outcome outcome{.task_id = "a",
                  .state = TaskState::kExpired,
                  .create_time = kCreated,
                  .finish_time = At(5)};
  TaskSnapshot snapshot{.state = TaskState::kExpired};
  snapshot.outcome = std::make_shared<Outcome>(outcome);
  EXPECT_EQ(HistoryText(Full(snapshot)), "SUBMITTED@0 ENDED@5");
}

TEST(TaskHistoryToProtoTest, TheBasicViewHasNone) {
  TaskSnapshot snapshot{.state = TaskState::kSucceeded};
  snapshot.outcome = std::make_shared<Outcome>(EndedTask());
  v1::Task task;
  SnapshotToProto(snapshot, View::kBasic, &task);
  EXPECT_EQ(task.history_size(), 0);
  v1::Task live;
  SnapshotToProto(LiveTask(TaskState::kQueued), View::kBasic, &live);
  EXPECT_EQ(live.history_size(), 0);
}

}  // namespace
}  // namespace apium::broker
