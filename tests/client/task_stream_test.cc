#include "client/task_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "client/task_client.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "tests/client/fake_broker.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class TaskStreamTest : public ::testing::Test {
 protected:
  TaskStreamTest()
      : client_(*TaskClient::Connect(broker_.ClientOptionsForTest())) {}

  // Records what the callbacks tell.
  TaskStreamOptions Recording(size_t window = 8192) {
    TaskStreamOptions options;
    options.window = window;
    options.on_ack = [this](const SubmitAck& ack) {
      absl::MutexLock lock(&mu_);
      ++acks_[std::string(ack.task_id)];
      sequences_.push_back(ack.sequence);
      if (!ack.status.ok()) refused_[std::string(ack.task_id)] = ack.status;
    };
    options.on_interruption = [this](const StreamInterruption& interruption) {
      absl::MutexLock lock(&mu_);
      interruptions_.push_back(interruption);
    };
    return options;
  }
  void RecordOutcomes(TaskStreamOptions* options) {
    options->on_outcome = [this](const v1::TaskOutcome& outcome) {
      absl::MutexLock lock(&mu_);
      ++outcomes_[outcome.task_id()];
    };
  }

  std::unique_ptr<TaskStream> Open(TaskStreamOptions options) {
    absl::StatusOr<std::unique_ptr<TaskStream>> stream =
        client_->OpenStream(std::move(options));
    EXPECT_THAT(stream, IsOk());
    return *std::move(stream);
  }

  absl::StatusOr<uint64_t> Submit(TaskStream& stream, const std::string& id,
                                  const std::string& type = "t") {
    v1::TaskSpec spec;
    spec.set_task_id(id);
    spec.set_type(type);
    return stream.Submit(&spec);
  }
  void SubmitMany(TaskStream& stream, int count) {
    for (int i = 0; i < count; ++i)
      ASSERT_THAT(Submit(stream, StrCat("task-", i)), IsOk());
  }

  // Each of task-0 to task-(count-1) was told `times` times.
  void ExpectEach(const std::map<std::string, int>& told, int count) {
    EXPECT_THAT(told, SizeIs(count));
    for (const auto& [id, times] : told) EXPECT_EQ(times, 1) << id;
  }

  FakeBroker broker_;
  std::unique_ptr<TaskClient> client_;
  absl::Mutex mu_;
  std::map<std::string, int> acks_;
  std::vector<uint64_t> sequences_;
  std::map<std::string, absl::Status> refused_;
  std::map<std::string, int> outcomes_;
  std::vector<StreamInterruption> interruptions_;
};

TEST_F(TaskStreamTest, AttachedTasksAreToldWithTheHoldersIdAndOutcome) {
  broker_.FinishTasksAtOnce();
  ASSERT_THAT(client_->Submit({.type = "t", .task_id = "holder"}), IsOk());
  broker_.AttachTo("holder");
  TaskStreamOptions options = Recording();
  RecordOutcomes(&options);
  int attached = 0;
  options.on_ack = [&](const SubmitAck& ack) {
    EXPECT_EQ(ack.task_id, "holder");
    attached += ack.attached;
  };
  auto stream = Open(std::move(options));
  SubmitMany(*stream, 3);
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_EQ(attached, 3);
  absl::MutexLock lock(&mu_);
  EXPECT_THAT(outcomes_, SizeIs(1));
  EXPECT_GE(outcomes_["holder"], 1);
}

TEST_F(TaskStreamTest, EveryTaskIsAcknowledgedOnceInOrder) {
  constexpr int kTasks = 5000;
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, kTasks);
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, kTasks);
  EXPECT_TRUE(std::is_sorted(sequences_.begin(), sequences_.end()));
  EXPECT_EQ(sequences_.front(), 1u);
  EXPECT_EQ(sequences_.back(), static_cast<uint64_t>(kTasks));
  EXPECT_THAT(broker_.tasks(), SizeIs(kTasks));
}

TEST_F(TaskStreamTest, IdsAreMinted) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  v1::TaskSpec spec;
  spec.set_type("t");
  ASSERT_THAT(stream->Submit(&spec), IsOk());
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  EXPECT_EQ(acks_.begin()->first.size(), 36u);
}

TEST_F(TaskStreamTest, ARefusedTaskDoesNotHurtItsNeighbours) {
  broker_.RefuseType("bad");
  std::unique_ptr<TaskStream> stream = Open(Recording());
  ASSERT_THAT(Submit(*stream, "a"), IsOk());
  ASSERT_THAT(Submit(*stream, "b", "bad"), IsOk());
  ASSERT_THAT(Submit(*stream, "c"), IsOk());
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ASSERT_THAT(refused_, SizeIs(1));
  EXPECT_THAT(refused_["b"], HasReason("QUEUE_NOT_FOUND"));
}

TEST_F(TaskStreamTest, TasksThatWaitForAWriteLeaveInOneMessage) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  std::vector<v1::TaskSpec> specs(1000);
  for (v1::TaskSpec& spec : specs) spec.set_type("t");
  EXPECT_THAT(stream->SubmitMany(absl::MakeSpan(specs)), IsOkAndHolds(1u));
  broker_.AwaitStreamed(1000);
  broker_.HoldAnswers(false);
  EXPECT_THAT(stream->Finish(), IsOk());
  const std::vector<int> sizes = broker_.batch_sizes();
  EXPECT_THAT(sizes, ::testing::ElementsAre(256, 256, 256, 232));
}

TEST_F(TaskStreamTest, AFullWindowRefusesWhoDoesNotWait) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording(/*window=*/3));
  SubmitMany(*stream, 3);
  v1::TaskSpec spec;
  spec.set_type("precious");
  EXPECT_THAT(stream->TrySubmit(&spec), HasReason("WINDOW_FULL"));
  EXPECT_EQ(spec.type(), "precious");
  EXPECT_EQ(stream->unanswered(), 3u);
  broker_.HoldAnswers(false);
  EXPECT_THAT(stream->Finish(), IsOk());
}

TEST_F(TaskStreamTest, AFullWindowMakesSubmittersWait) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording(/*window=*/2));
  absl::Notification submitted;
  std::thread submitter([&] {
    SubmitMany(*stream, 3);
    submitted.Notify();
  });
  broker_.AwaitStreamed(2);
  // The third can only have been taken if the window does not hold.
  EXPECT_FALSE(submitted.HasBeenNotified());
  EXPECT_LE(stream->unanswered(), 2u);
  broker_.HoldAnswers(false);
  submitter.join();
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 3);
}

TEST_F(TaskStreamTest, NeverSendsMoreThanTheBrokersWindow) {
  broker_.SetWindow(10);
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 100);
  broker_.AwaitStreamed(1);
  EXPECT_LE(broker_.streamed_ids().size(), 10u);
  broker_.HoldAnswers(false);
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(broker_.batch_sizes(), ::testing::Each(::testing::Le(10)));
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 100);
}

TEST_F(TaskStreamTest,
       ABrokenStreamIsOpenedAgainAndTheUnansweredAreSubmittedAgain) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 20);
  broker_.AwaitStreamed(20);
  broker_.BreakStreams(
      WithReason(absl::UnavailableError("restarting"), reason::kShuttingDown));
  broker_.AwaitStreamed(40);  // the same again
  broker_.HoldAnswers(false);
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(broker_.tasks(), SizeIs(20));
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 20);
  EXPECT_THAT(refused_, SizeIs(0));
  ASSERT_THAT(interruptions_, SizeIs(1));
  EXPECT_THAT(interruptions_[0].cause, HasReason("SHUTTING_DOWN"));
  ASSERT_THAT(interruptions_[0].unanswered_ids, SizeIs(20));
  EXPECT_EQ(interruptions_[0].unanswered_ids.front(), "task-0");
}

TEST_F(TaskStreamTest, TasksThatTheBrokerLostAreSubmittedAgain) {
  broker_.ForgetTasks(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 5);
  broker_.AwaitStreamed(5);
  EXPECT_THAT(broker_.tasks(), SizeIs(0));
  broker_.ForgetTasks(false);
  broker_.BreakStreams(absl::UnavailableError("crashed"));
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(broker_.tasks(), SizeIs(5));
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 5);
}

TEST_F(TaskStreamTest, TasksSubmittedDuringAnInterruptionAreSentAfterIt) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  broker_.FailNext("StreamTasks", 5, absl::UnavailableError("starting"));
  broker_.BreakStreams(absl::UnavailableError("restarting"));
  SubmitMany(*stream, 50);
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 50);
}

TEST_F(TaskStreamTest, RepeatedInterruptionsLoseAndRepeatNothing) {
  constexpr int kTasks = 3000;
  std::unique_ptr<TaskStream> stream = Open(Recording(/*window=*/100));
  std::thread breaker([this] {
    for (size_t count = 100; count <= kTasks; count += 300) {
      broker_.AwaitStreamed(count);
      broker_.BreakStreams(absl::UnavailableError("again"));
    }
  });
  SubmitMany(*stream, kTasks);
  breaker.join();
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(broker_.tasks(), SizeIs(kTasks));
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, kTasks);
  EXPECT_THAT(refused_, SizeIs(0));
}

TEST_F(TaskStreamTest, AStreamThatTheBrokerClosesWithoutAWordIsOpenedAgain) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 1);
  broker_.AwaitStreamed(1);
  broker_.BreakStreams(absl::OkStatus());
  broker_.HoldAnswers(false);
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(acks_, 1);
}

TEST_F(TaskStreamTest, AnErrorThatIsNotTemporaryIsGivenToEverybody) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording(/*window=*/2));
  std::thread submitter([&] {
    absl::StatusOr<uint64_t> last;
    for (int i = 0; i < 3; ++i) last = Submit(*stream, StrCat("task-", i));
    EXPECT_THAT(last, HasReason("WINDOW_EXCEEDED"));
  });
  broker_.AwaitStreamed(2);
  broker_.BreakStreams(
      WithReason(absl::ResourceExhaustedError("too much"), "WINDOW_EXCEEDED"));
  submitter.join();
  EXPECT_THAT(stream->Finish(), HasReason("WINDOW_EXCEEDED"));
  EXPECT_THAT(stream->UnansweredIds(),
              ::testing::ElementsAre("task-0", "task-1"));
}

TEST_F(TaskStreamTest, WithoutAReconnectTimeABrokenStreamIsGivenUp) {
  broker_.HoldAnswers(true);
  TaskStreamOptions options = Recording();
  options.reconnect_timeout = absl::ZeroDuration();
  std::unique_ptr<TaskStream> stream = Open(std::move(options));
  SubmitMany(*stream, 1);
  broker_.AwaitStreamed(1);
  broker_.BreakStreams(absl::UnavailableError("gone"));
  EXPECT_THAT(stream->Finish(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gone")));
}

TEST_F(TaskStreamTest, ABrokerThatAnswersNonsenseIsNotTrusted) {
  broker_.AnswerWrongSequence();
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 1);
  EXPECT_THAT(stream->Finish(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("1000001")));
}

TEST_F(TaskStreamTest, OpeningFailsWithTheServersReason) {
  broker_.FailNext("StreamTasks", 1,
                   WithReason(absl::NotFoundError("no such namespace"),
                              reason::kNamespaceNotFound));
  EXPECT_THAT(client_->OpenStream(Recording()),
              HasReason("NAMESPACE_NOT_FOUND"));
}

TEST_F(TaskStreamTest, OpeningIsRepeatedWhileTheBrokerStarts) {
  broker_.FailNext("StreamTasks", 3, absl::UnavailableError("starting"));
  EXPECT_THAT(client_->OpenStream(Recording()), IsOk());
  EXPECT_EQ(broker_.calls("StreamTasks"), 4);
}

TEST_F(TaskStreamTest, OptionsOutsideTheirRangeAreNamed) {
  EXPECT_THAT(
      client_->OpenStream({.window = 0}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("window")));
  EXPECT_THAT(client_->OpenStream({.batch_tasks_max = 1001}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("batch_tasks_max: 1001")));
}

TEST_F(TaskStreamTest, OutcomesComeOnceForEachAcceptedTask) {
  broker_.FinishTasksAtOnce();
  broker_.RefuseType("bad");
  TaskStreamOptions options = Recording();
  RecordOutcomes(&options);
  std::unique_ptr<TaskStream> stream = Open(std::move(options));
  SubmitMany(*stream, 500);
  ASSERT_THAT(Submit(*stream, "refused", "bad"), IsOk());
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(outcomes_, 500);
}

TEST_F(TaskStreamTest, OutcomesThatTheBrokenStreamOwedAreFetched) {
  TaskStreamOptions options = Recording();
  RecordOutcomes(&options);
  std::unique_ptr<TaskStream> stream = Open(std::move(options));
  SubmitMany(*stream, 100);
  {
    // All are accepted, none is finished.
    const auto accepted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return acks_.size() == 100;
    };
    absl::MutexLock lock(&mu_, absl::Condition(&accepted));
  }
  EXPECT_EQ(stream->awaiting_outcome(), 100u);
  EXPECT_THAT(stream->Finish(absl::ZeroDuration()),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("100 have no outcome yet")));
  broker_.BreakStreams(absl::UnavailableError("restarting"));
  for (int i = 0; i < 100; ++i)
    broker_.FinishTask(StrCat("task-", i), v1::TASK_STATE_SUCCEEDED, "1");
  EXPECT_THAT(stream->Finish(), IsOk());
  absl::MutexLock lock(&mu_);
  ExpectEach(outcomes_, 100);
}

TEST_F(TaskStreamTest, AnOutcomeThatCannotBeFetchedIsReportedByFinish) {
  TaskStreamOptions options = Recording();
  RecordOutcomes(&options);
  std::unique_ptr<TaskStream> stream = Open(std::move(options));
  SubmitMany(*stream, 1);
  {
    const auto accepted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return acks_.size() == 1;
    };
    absl::MutexLock lock(&mu_, absl::Condition(&accepted));
  }
  broker_.FailNext("WaitTask", 1,
                   absl::NotFoundError("its result has expired"));
  broker_.BreakStreams(absl::UnavailableError("restarting"));
  EXPECT_THAT(stream->Finish(), StatusIs(absl::StatusCode::kNotFound,
                                         HasSubstr("task-0 is not known")));
}

TEST_F(TaskStreamTest, NothingIsTakenAfterFinish) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(Submit(*stream, "late"), HasReason("STREAM_FINISHED"));
}

TEST_F(TaskStreamTest, FinishMayBeCalledAgain) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 1);
  // Closes it, or is too early: both leave it to the next call.
  const absl::Status early = stream->Finish(absl::ZeroDuration());
  EXPECT_TRUE(early.ok() || absl::IsDeadlineExceeded(early)) << early;
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(stream->Finish(), IsOk());
}

TEST_F(TaskStreamTest, FinishEndsTheStreamAtTheBroker) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  EXPECT_EQ(broker_.open_streams(), 1u);
  SubmitMany(*stream, 1);
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_EQ(broker_.open_streams(), 0u);
}

TEST_F(TaskStreamTest, DestructionWithUnansweredTasksIsSafe) {
  broker_.HoldAnswers(true);
  std::unique_ptr<TaskStream> stream = Open(Recording());
  SubmitMany(*stream, 10);
  stream.reset();
  absl::MutexLock lock(&mu_);
  EXPECT_THAT(acks_, SizeIs(0));
}

TEST_F(TaskStreamTest, DestructionDuringAnInterruptionIsSafe) {
  std::unique_ptr<TaskStream> stream = Open(Recording());
  broker_.FailNext("StreamTasks", 1'000'000,
                   absl::UnavailableError("starting"));
  broker_.BreakStreams(absl::UnavailableError("restarting"));
  SubmitMany(*stream, 10);
  stream.reset();
}

TEST_F(TaskStreamTest, CallbacksMaySubmitMore) {
  std::unique_ptr<TaskStream> stream;
  absl::Notification all_submitted;
  int left = 100;
  TaskStreamOptions options;
  options.window = 4;
  options.on_ack = [&](const SubmitAck&) {
    v1::TaskSpec spec;
    spec.set_type("t");
    // One was answered, so that there is room for one.
    if (left > 0 && --left > 0) {
      EXPECT_THAT(stream->TrySubmit(&spec), IsOk());
    }
    if (left == 0 && !all_submitted.HasBeenNotified()) all_submitted.Notify();
  };
  stream = Open(std::move(options));
  v1::TaskSpec spec;
  spec.set_type("t");
  ASSERT_THAT(stream->Submit(&spec), IsOk());
  all_submitted.WaitForNotification();
  EXPECT_THAT(stream->Finish(), IsOk());
  EXPECT_THAT(broker_.tasks(), SizeIs(100));
}

}  // namespace
}  // namespace apium
