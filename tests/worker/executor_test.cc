#include "worker/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "common/rpc/proto_time.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "worker/task_error.h"

namespace apium {

struct Unusual {};

namespace {

using ::testing::HasSubstr;

class ExecutorTest : public ::testing::Test {
 protected:
  template <typename F>
  void Register(F function) {
    APIUM_ASSERT_OK(
        registry_.Add("test.task", MakeTaskHandler(std::move(function))));
  }

  // Runs one attempt of test.task; `before` may cancel it.
  v1::ExecutionOutcome Execute(
      const std::function<void(Attempt&)>& before = nullptr,
      const std::string& type = "test.task") {
    Executor executor({.registry = &registry_,
                       .clock = &clock_,
                       .metrics = &metrics_,
                       .worker_id = "w1",
                       .result_bytes_max = 100});
    auto delivery = std::make_shared<v1::Delivery>();
    delivery->mutable_spec()->set_type(type);
    if (expire_time_ != absl::InfiniteFuture()) {
      TimeToProto(expire_time_,
                  delivery->mutable_spec()->mutable_expire_time());
    }
    Attempt attempt(nullptr, v1::Lease(), std::move(delivery));
    if (before) before(attempt);
    executor.Execute(&attempt);
    return attempt.outcome();
  }

  FakeClock clock_;
  absl::Time expire_time_ = absl::InfiniteFuture();  // of the task
  WorkerMetrics metrics_;
  TaskRegistry registry_;
};

TEST_F(ExecutorTest, ReturnsTheResultAndTheStartTime) {
  Register([] { return 7; });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.result().data(), "7");
  EXPECT_EQ(outcome.start_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
}

TEST_F(ExecutorTest, AStandardExceptionIsAFailureOfItsType) {
  Register([]() -> int { throw std::out_of_range("too far"); });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.failure().type(), "std::out_of_range");
  EXPECT_EQ(outcome.failure().message(), "too far");
  EXPECT_FALSE(outcome.failure().non_retryable());
}

TEST_F(ExecutorTest, AnyOtherExceptionIsAFailureOfItsType) {
  Register([]() -> int { throw Unusual(); });
  EXPECT_EQ(Execute().failure().type(), "apium::Unusual");
}

TEST_F(ExecutorTest, AnErrorStatusIsAFailure) {
  Register([] { return NonRetryable(TaskError("mail.Gone", "no such user")); });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.failure().type(), "mail.Gone");
  EXPECT_EQ(outcome.failure().message(), "no such user");
  EXPECT_TRUE(outcome.failure().non_retryable());
}

TEST_F(ExecutorTest, RetryAfterAsksForARetry) {
  Register([] {
    return RetryAfter(absl::Milliseconds(1500), absl::UnavailableError("busy"));
  });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.retry().delay().seconds(), 1);
  EXPECT_EQ(outcome.retry().delay().nanos(), 500'000'000);
  EXPECT_EQ(outcome.retry().failure().type(), "UNAVAILABLE");
}

TEST_F(ExecutorTest, HandBackReturnsTheTask) {
  Register([] { return HandBack("not loaded yet", absl::Milliseconds(1500)); });
  v1::ExecutionOutcome outcome = Execute();
  ASSERT_TRUE(outcome.has_returned());
  EXPECT_EQ(outcome.returned().reason(), "not loaded yet");
  EXPECT_EQ(outcome.returned().delay().seconds(), 1);
  // It ran: the broker is to know.
  EXPECT_TRUE(outcome.has_start_time());
}

TEST_F(ExecutorTest, HandBackWithoutADelayLeavesItToTheBroker) {
  Register([] { return HandBack("not now"); });
  const v1::ExecutionOutcome outcome = Execute();
  ASSERT_TRUE(outcome.has_returned());
  EXPECT_FALSE(outcome.returned().has_delay());
}

TEST_F(ExecutorTest, ThrottledNamesTheLimitAndTheDelay) {
  Register([] { return Throttled("smtp", absl::Seconds(30), "429"); });
  const v1::ExecutionOutcome outcome = Execute();
  ASSERT_TRUE(outcome.has_returned());
  EXPECT_EQ(outcome.returned().throttled_limit(), "smtp");
  EXPECT_EQ(outcome.returned().delay().seconds(), 30);
  EXPECT_EQ(outcome.returned().reason(), "429");
}

TEST_F(ExecutorTest, ThrottledByWhatIsNoNameIsAFailure) {
  Register([] { return Throttled("no name", absl::Seconds(30)); });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.failure().type(), failure_type::kBadResult);
  EXPECT_THAT(outcome.failure().message(), HasSubstr("throttled limit"));
  EXPECT_TRUE(outcome.failure().non_retryable());
}

TEST_F(ExecutorTest, FailuresAreCutAndMadeUtf8) {
  Register([] { return TaskError("t\xff", std::string(10'000, '\xfe')); });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.failure().type(), "t?");
  EXPECT_LE(outcome.failure().message().size(), 4096u);
  EXPECT_THAT(outcome.failure().message(), HasSubstr("???"));
}

TEST_F(ExecutorTest, AResultThatNoBrokerTakesIsAFailure) {
  Register([] { return std::string(200, 'x'); });
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_EQ(outcome.failure().type(), failure_type::kBadResult);
  EXPECT_THAT(outcome.failure().message(), HasSubstr("the limit is 100"));
  EXPECT_TRUE(outcome.failure().non_retryable());
}

TEST_F(ExecutorTest, AContentTypeThatIsNotUtf8IsAFailure) {
  Register([] {
    v1::Payload payload;
    payload.set_content_type("\xff");
    return payload;
  });
  EXPECT_EQ(Execute().failure().type(), failure_type::kBadResult);
}

TEST_F(ExecutorTest, AnUnknownTypeIsAFailureThatNamesItAndTheWorker) {
  Register([] {});
  const v1::ExecutionOutcome outcome = Execute(nullptr, "other.task");
  EXPECT_EQ(outcome.failure().type(), failure_type::kUnknownTaskType);
  EXPECT_THAT(outcome.failure().message(), HasSubstr("\"other.task\""));
  EXPECT_THAT(outcome.failure().message(), HasSubstr("w1"));
  EXPECT_FALSE(outcome.failure().non_retryable())
      << "a newer worker may know it";
  EXPECT_FALSE(outcome.has_start_time());
}

TEST_F(ExecutorTest, ACancelledAttemptDoesNotRun) {
  bool ran = false;
  Register([&] { ran = true; });
  const v1::ExecutionOutcome outcome = Execute([](Attempt& attempt) {
    attempt.cancel().Cancel(CancelCause::kRequested, "changed my mind");
  });
  EXPECT_FALSE(ran);
  EXPECT_EQ(outcome.cancelled().reason(), "changed my mind");
  EXPECT_FALSE(outcome.has_start_time());
}

TEST_F(ExecutorTest, ATaskThatExpiredWhileItWaitedForASlotIsHandedBack) {
  bool ran = false;
  Register([&] { ran = true; });
  expire_time_ = clock_.Now();
  const v1::ExecutionOutcome outcome = Execute();
  EXPECT_FALSE(ran);
  EXPECT_EQ(outcome.returned().reason(), "expired before it started");
  EXPECT_FALSE(outcome.has_start_time());
}

TEST_F(ExecutorTest, ATaskRunsUntilItsExpiry) {
  bool ran = false;
  Register([&] { ran = true; });
  expire_time_ = clock_.Now() + absl::Nanoseconds(1);
  Execute();
  EXPECT_TRUE(ran);
}

TEST_F(ExecutorTest, ObeyingAnswersTheCauseOfTheCancel) {
  Attempt* running = nullptr;
  CancelCause cause = CancelCause::kRequested;
  Register([&](TaskContext& context) {
    running->cancel().Cancel(cause, "stop");
    EXPECT_TRUE(context.IsCancelled());
    return context.CancellationStatus();
  });
  const auto remember = [&](Attempt& attempt) { running = &attempt; };
  EXPECT_EQ(Execute(remember).cancelled().reason(), "stop");
  cause = CancelCause::kTimeLimit;
  EXPECT_EQ(Execute(remember).failure().type(), failure_type::kTimeLimit);
  cause = CancelCause::kDraining;
  EXPECT_EQ(Execute(remember).returned().reason(), "stop");
}

TEST_F(ExecutorTest, AHandlerThatFinishesDespiteACancelHasItsResult) {
  Register([] { return 1; });
  Attempt* running = nullptr;
  APIUM_ASSERT_OK(registry_.Add("late.task", MakeTaskHandler([&] {
                                  running->cancel().Cancel(
                                      CancelCause::kRequested, "");
                                  return 2;
                                })));
  EXPECT_EQ(Execute([&](Attempt& attempt) { running = &attempt; }, "late.task")
                .result()
                .data(),
            "2");
}

TEST_F(ExecutorTest, CancelledWithoutACancelIsAFailure) {
  Register([] { return absl::CancelledError("by a library"); });
  EXPECT_EQ(Execute().failure().type(), "CANCELLED");
}

}  // namespace
}  // namespace apium
