#include "cli/task_text.h"

#include <gtest/gtest.h>

#include <sstream>

namespace apium::cli {
namespace {

class TaskTextTest : public ::testing::Test {
 protected:
  Output Plain(bool quiet = false) {
    return Output(Format::kTable, false, quiet, &out_, &err_);
  }

  v1::Task Task(const std::string& id, v1::TaskState state) {
    v1::Task task;
    task.mutable_spec()->set_task_id(id);
    task.mutable_spec()->set_type("mail.send");
    task.mutable_spec()->set_queue("mail");
    task.mutable_spec()->set_priority(100);
    task.set_state(state);
    task.mutable_create_time()->set_seconds(1'700'000'000);
    return task;
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(TaskTextTest, StatesHaveShortNames) {
  EXPECT_EQ(StateName(v1::TASK_STATE_DEAD_LETTERED), "DEAD_LETTERED");
  EXPECT_EQ(StateFromName("succeeded"), v1::TASK_STATE_SUCCEEDED);
  EXPECT_EQ(StateFromName("QUEUED"), v1::TASK_STATE_QUEUED);
  EXPECT_EQ(StateFromName("unspecified"), std::nullopt);
  EXPECT_EQ(StateFromName("done"), std::nullopt);
  EXPECT_EQ(StateNames(),
            "BLOCKED, SCHEDULED, QUEUED, LEASED, STARTED, SUCCEEDED, FAILED, "
            "CANCELLED, EXPIRED, DEAD_LETTERED");
}

TEST_F(TaskTextTest, AListIsATable) {
  google::protobuf::RepeatedPtrField<v1::Task> tasks;
  *tasks.Add() = Task("a", v1::TASK_STATE_QUEUED);
  *tasks.Add() = Task("another", v1::TASK_STATE_SUCCEEDED);
  PrintTaskTable(tasks, Plain());
  EXPECT_EQ(out_.str(),
            "ID       TYPE       QUEUE  PRIORITY  STATE      ATTEMPT  CREATED\n"
            "a        mail.send  mail        100  QUEUED           0  "
            "2023-11-14T22:13:20.000Z\n"
            "another  mail.send  mail        100  SUCCEEDED        0  "
            "2023-11-14T22:13:20.000Z\n");
}

TEST_F(TaskTextTest, AQuietListHasIdsOnly) {
  google::protobuf::RepeatedPtrField<v1::Task> tasks;
  *tasks.Add() = Task("a", v1::TASK_STATE_QUEUED);
  *tasks.Add() = Task("b", v1::TASK_STATE_QUEUED);
  PrintTaskTable(tasks, Plain(/*quiet=*/true));
  EXPECT_EQ(out_.str(), "a\nb\n");
}

TEST_F(TaskTextTest, DetailsShowWhatThereIs) {
  v1::Task task = Task("a", v1::TASK_STATE_QUEUED);
  task.set_waiting_reason("no connected worker serves type mail.send");
  task.mutable_spec()->mutable_payload()->set_data("{\"args\":[1]}");
  (*task.mutable_spec()->mutable_headers())["traceparent"] = "00-1";
  task.mutable_last_failure()->set_type("ValueError");
  task.mutable_last_failure()->set_message("it was\nwrong");
  PrintTaskDetails(task, Plain());
  EXPECT_EQ(out_.str(),
            "ID:                  a\n"
            "Type:                mail.send\n"
            "Queue:               mail\n"
            "State:               QUEUED\n"
            "Waiting:             no connected worker serves type mail.send\n"
            "Priority:            100\n"
            "Created:             2023-11-14T22:13:20.000Z\n"
            "Payload:             {\"args\":[1]}\n"
            "Header traceparent:  00-1\n"
            "Last failure:        ValueError: it was\\nwrong\n");
}

TEST_F(TaskTextTest, DetailsOfAFailedTaskShowTheFailure) {
  v1::Task task = Task("a", v1::TASK_STATE_FAILED);
  task.mutable_outcome()->mutable_failure()->set_message("it was wrong");
  task.mutable_outcome()->set_worker_id("w-1");
  task.mutable_outcome()->mutable_finish_time()->set_seconds(1'700'000'001);
  PrintTaskDetails(task, Plain());
  EXPECT_EQ(out_.str(),
            "ID:        a\n"
            "Type:      mail.send\n"
            "Queue:     mail\n"
            "State:     FAILED\n"
            "Priority:  100\n"
            "Created:   2023-11-14T22:13:20.000Z\n"
            "Finished:  2023-11-14T22:13:21.000Z\n"
            "Worker:    w-1\n"
            "Failure:   it was wrong\n");
}

TEST_F(TaskTextTest, DetailsTellTheHistory) {
  v1::Task task = Task("a", v1::TASK_STATE_QUEUED);
  task.clear_create_time();
  task.set_failures(1);
  task.set_crashes(1);
  task.set_returns(2);
  task.set_suspect(true);
  task.set_dropped_events(3);
  const auto add = [&](v1::TaskEventKind kind, v1::TaskState state,
                       uint32_t attempt, const char* worker) {
    v1::TaskEvent* event = task.add_history();
    event->set_kind(kind);
    event->set_state(state);
    event->mutable_time()->set_seconds(1'700'000'000 + attempt);
    event->set_attempt(attempt);
    event->set_worker_id(worker);
    return event;
  };
  add(v1::TASK_EVENT_KIND_SUBMITTED, v1::TASK_STATE_QUEUED, 0, "");
  v1::TaskEvent* retried =
      add(v1::TASK_EVENT_KIND_RETRIED, v1::TASK_STATE_SCHEDULED, 1, "w1");
  retried->mutable_failure()->set_type("ValueError");
  retried->mutable_failure()->set_message("it was wrong");
  add(v1::TASK_EVENT_KIND_CRASHED, v1::TASK_STATE_QUEUED, 2, "w2")
      ->set_detail("the worker was lost");
  PrintTaskDetails(task, Plain());
  EXPECT_EQ(
      out_.str(),
      "ID:        a\n"
      "Type:      mail.send\n"
      "Queue:     mail\n"
      "State:     QUEUED\n"
      "Priority:  100\n"
      "Failures:  1\n"
      "Crashes:   1\n"
      "Returns:   2\n"
      "Suspect:   runs alone after a crash\n"
      "History:\n"
      "(3 older events are no longer kept)\n"
      "TIME                      EVENT      ATTEMPT  WORKER  STATE      WHY\n"
      "2023-11-14T22:13:20.000Z  submitted        -  -       QUEUED     -\n"
      "2023-11-14T22:13:21.000Z  retried          1  w1      SCHEDULED  "
      "ValueError: it was wrong\n"
      "2023-11-14T22:13:22.000Z  crashed          2  w2      QUEUED     the "
      "worker was lost\n");
}

TEST_F(TaskTextTest, PayloadsThatAreNoTextAreDescribed) {
  v1::Payload payload;
  payload.set_data("\xff\xd8\xff");
  EXPECT_EQ(PayloadText(payload), "3 bytes of application/octet-stream");
  payload.set_content_type("image/jpeg");
  EXPECT_EQ(PayloadText(payload), "3 bytes of image/jpeg");
  payload.set_data("text");
  payload.set_content_encoding("zstd");
  EXPECT_EQ(PayloadText(payload), "4 bytes of image/jpeg, zstd");
  payload.clear_content_encoding();
  payload.set_data(std::string(5000, 'x'));
  EXPECT_EQ(PayloadText(payload), std::string(997, 'x') + "...");
}

TEST_F(TaskTextTest, ALineOfAWatchSaysWhatChanged) {
  v1::Task task = Task("a", v1::TASK_STATE_STARTED);
  task.mutable_progress()->set_completed(3);
  task.mutable_progress()->set_total(10);
  task.mutable_progress()->set_message("resizing");
  PrintTaskLine(task, Plain());
  EXPECT_EQ(out_.str(), "a  STARTED  3 of 10 resizing\n");
}

TEST_F(TaskTextTest, ALineOfARunningTaskSaysThatItsCancelIsUnderWay) {
  v1::Task task = Task("a", v1::TASK_STATE_STARTED);
  task.mutable_progress()->set_total(10);
  task.set_cancel_requested(true);
  PrintTaskLine(task, Plain());
  EXPECT_EQ(out_.str(), "a  STARTED  cancel requested, not obeyed yet\n");
}

TEST_F(TaskTextTest, ATextResultEndsItsLine) {
  v1::TaskOutcome outcome;
  outcome.mutable_result()->set_data("42");
  PrintResult(outcome, /*raw=*/false, /*to_terminal=*/true, Plain());
  EXPECT_EQ(out_.str(), "42\n");
}

TEST_F(TaskTextTest, ARawResultIsWrittenByteByByte) {
  v1::TaskOutcome outcome;
  outcome.mutable_result()->set_data(std::string("\xff\0", 2));
  PrintResult(outcome, /*raw=*/true, /*to_terminal=*/true, Plain());
  EXPECT_EQ(out_.str(), std::string("\xff\0", 2));
}

TEST_F(TaskTextTest, BytesAreKeptFromTheTerminal) {
  v1::TaskOutcome outcome;
  outcome.mutable_result()->set_data("\xff\x1b[2J");
  PrintResult(outcome, /*raw=*/false, /*to_terminal=*/true, Plain());
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(
      err_.str(),
      "the result is 5 bytes of application/octet-stream; --raw writes them\n");
  PrintResult(outcome, /*raw=*/false, /*to_terminal=*/false, Plain());
  EXPECT_EQ(out_.str(), "\xff\x1b[2J");
}

}  // namespace
}  // namespace apium::cli
