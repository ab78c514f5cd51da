#include "broker/outbox/result_forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "storage/memory_store.h"
#include "tests/broker/support/fake_result_service.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);

std::vector<uint64_t> Numbers(uint64_t first, uint64_t last) {
  std::vector<uint64_t> numbers(last - first + 1);
  std::iota(numbers.begin(), numbers.end(), first);
  return numbers;
}

class ResultForwarderTest : public testing::Test {
 protected:
  // Outcomes of position `position`, in the store and for the forwarder.
  OutboxEntry Commit(uint64_t position, size_t result_bytes = 10) {
    auto outcome = std::make_shared<Outcome>();
    outcome->namespace_name = "default";
    outcome->task_id = "task-" + std::to_string(position);
    outcome->type = "t";
    outcome->queue = "default";
    outcome->result.data = std::string(result_bytes, 'x');
    outcome->create_time = outcome->finish_time = absl::FromUnixSeconds(1);
    OutboxEntry entry{.position = position, .outcomes = {outcome}};
    StoreBatch batch;
    batch.Put(OutboxRowKey(position), EncodeOutboxRow(entry.outcomes));
    APIUM_EXPECT_OK(store_.Write(batch));
    return entry;
  }
  void CommitAndTake(uint64_t position, size_t result_bytes = 10) {
    forwarder_->Take(Commit(position, result_bytes));
    forwarder_->Flush();
  }

  void Make(ResultForwarderOptions options = {}) {
    options.shard_id = "shard-1";
    options.reconnect = {.initial = absl::Milliseconds(1),
                         .max = absl::Milliseconds(50)};
    forwarder_ = std::make_unique<ResultForwarder>(
        options, results_.Channel(), &store_, [this](uint64_t position) {
          absl::MutexLock lock(&mu_);
          confirmed_ = position;
        });
  }
  bool WaitForConfirmed(uint64_t position) {
    absl::MutexLock lock(&mu_);
    wanted_ = position;
    return mu_.AwaitWithTimeout(absl::Condition(
                                    +[](ResultForwarderTest* test) {
                                      test->mu_.AssertHeld();
                                      return test->confirmed_ >= test->wanted_;
                                    },
                                    this),
                                kLong);
  }

  MemoryStore store_;
  FakeResultService results_;
  absl::Mutex mu_;
  uint64_t confirmed_ = 0;
  uint64_t wanted_ = 0;
  std::unique_ptr<ResultForwarder> forwarder_;
};

TEST_F(ResultForwarderTest,
       PublishesWhatItTakesInOrderAndPassesConfirmationsOn) {
  Make();
  forwarder_->Start();
  for (uint64_t position = 1; position <= 100; ++position) {
    CommitAndTake(position);
  }
  EXPECT_EQ(results_.Positions(100), Numbers(1, 100));
  EXPECT_TRUE(WaitForConfirmed(100));
  EXPECT_THAT(results_.Hellos(1), ElementsAre("shard-1"));
  APIUM_EXPECT_OK(forwarder_->status());
}

TEST_F(ResultForwarderTest, BeginsBehindWhatTheResultServiceHas) {
  results_.SetRecorded(3);
  for (uint64_t position = 1; position <= 5; ++position) Commit(position);
  Make({.last_position = 5});
  forwarder_->Start();
  EXPECT_EQ(results_.Positions(2), Numbers(4, 5));
}

TEST_F(ResultForwarderTest, ReadsWhatARestartLeftBehindFromTheStore) {
  for (uint64_t position = 1; position <= 50; ++position) Commit(position);
  Make({.last_position = 50, .read_bytes = 100});
  forwarder_->Take(Commit(51));
  forwarder_->Start();
  EXPECT_EQ(results_.Positions(51), Numbers(1, 51));
}

TEST_F(ResultForwarderTest, CatchesUpFromTheStoreWhenItsMemoryIsTooSmall) {
  results_.Stop();
  Make({.tail_bytes_max = 2000});
  forwarder_->Start();
  for (uint64_t position = 1; position <= 100; ++position) {
    CommitAndTake(position, 500);
  }
  FakeResultService other;
  // The same outbox, with a result service that is there.
  forwarder_ = nullptr;
  ResultForwarder second(
      {.shard_id = "shard-1", .last_position = 90, .tail_bytes_max = 2000},
      other.Channel(), &store_, [](uint64_t) {});
  for (uint64_t position = 91; position <= 100; ++position) {
    second.Take(Commit(position, 500));
  }
  second.Flush();
  second.Start();
  EXPECT_EQ(other.Positions(100), Numbers(1, 100));
}

TEST_F(ResultForwarderTest, SendsNothingThatIsNotReleased) {
  Make();
  forwarder_->Start();
  CommitAndTake(1);
  results_.Positions(1);
  // Written, but not synced: not taken.
  Commit(2);
  EXPECT_TRUE(WaitForConfirmed(1));
  EXPECT_THAT(results_.Positions(1), ElementsAre(1));
}

TEST_F(ResultForwarderTest, ReconnectsAndGoesOnWhereTheResultServiceStands) {
  Make();
  forwarder_->Start();
  for (uint64_t position = 1; position <= 10; ++position) {
    CommitAndTake(position);
  }
  results_.Positions(10);
  for (uint64_t position = 11; position <= 60; ++position) {
    if (position % 10 == 0) results_.BreakStreams();
    CommitAndTake(position);
  }
  EXPECT_EQ(results_.Positions(60), Numbers(1, 60));
  EXPECT_GE(results_.Hellos(2).size(), 2u);
  EXPECT_TRUE(WaitForConfirmed(60));
}

TEST_F(ResultForwarderTest, BoundsWhatIsSentAndNotConfirmed) {
  results_.SetConfirming(false);
  Make({.unconfirmed_bytes_max = 5000});
  forwarder_->Start();
  for (uint64_t position = 1; position <= 100; ++position) {
    CommitAndTake(position, 1000);
  }
  // At most the bound and one message above it.
  const size_t sent = results_.Positions(5).size();
  EXPECT_LE(sent, 6u);
  results_.SetConfirming(true);
  results_.BreakStreams();
  // A stream that waits for confirmations does not notice the test's break, so
  // the confirmation of what was sent comes with the next connection.
  forwarder_ = nullptr;
  Make({.last_position = 100});
  forwarder_->Start();
  EXPECT_EQ(results_.Positions(100), Numbers(1, 100));
}

TEST_F(ResultForwarderTest, SaysSoWhileTheResultServiceIsDown) {
  results_.Stop();
  Make();
  forwarder_->Start();
  CommitAndTake(1);
  EXPECT_THAT(forwarder_->status(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ResultForwarderTest, RefusesToGoOnWithAStoreOlderThanItsResults) {
  results_.SetRecorded(10);
  Make({.last_position = 5});
  forwarder_->Start();
  results_.Hellos(2);
  EXPECT_THAT(forwarder_->status(),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("this store only up to 5")));
  EXPECT_THAT(results_.Positions(0), testing::IsEmpty());
}

TEST_F(ResultForwarderTest, RefusesToGoOnWithResultsOlderThanConfirmed) {
  results_.SetRecorded(2);
  Make({.confirmed_position = 4, .last_position = 5});
  forwarder_->Start();
  results_.Hellos(2);
  EXPECT_THAT(forwarder_->status(), StatusIs(absl::StatusCode::kDataLoss,
                                             HasSubstr("had confirmed 4")));
}

TEST_F(ResultForwarderTest, StopsAtOnceInTheMiddleOfItsWork) {
  Make();
  forwarder_->Start();
  for (uint64_t position = 1; position <= 200; ++position) {
    CommitAndTake(position);
  }
  forwarder_ = nullptr;
  // Whatever was sent is a beginning without gaps.
  const std::vector<uint64_t> sent = results_.Positions(0);
  for (size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(sent[i], i + 1);
}

}  // namespace
}  // namespace apium::broker
