#include "broker/shard/disk_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

// Collects the verdicts of a guard that is given `free_bytes`.
class DiskGuardTest : public testing::Test {
 protected:
  void Start(uint64_t free_bytes) {
    free_bytes_ = free_bytes;
    guard_ = std::make_unique<DiskGuard>(
        DiskGuardOptions{.min_free_bytes = 1000,
                         .period = absl::Milliseconds(1)},
        [this]() -> absl::StatusOr<DiskSpace> {
          ++probes_;
          if (broken_) return absl::UnavailableError("no such disk");
          return DiskSpace{.free_bytes = free_bytes_, .total_bytes = 10'000};
        },
        [this](absl::Status verdict) {
          absl::MutexLock lock(&mu_);
          verdicts_.push_back(std::move(verdict));
        });
  }
  std::vector<absl::Status> WaitForVerdicts(size_t count) {
    absl::MutexLock lock(&mu_);
    wanted_ = count;
    mu_.AwaitWithTimeout(absl::Condition(
                             +[](DiskGuardTest* test) {
                               test->mu_.AssertHeld();
                               return test->verdicts_.size() >= test->wanted_;
                             },
                             this),
                         absl::Seconds(60));
    return verdicts_;
  }
  void WaitForProbes(int more) {
    const int until = probes_ + more;
    while (probes_ < until) std::this_thread::yield();
  }

  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<bool> broken_{false};
  std::atomic<int> probes_{0};
  absl::Mutex mu_;
  std::vector<absl::Status> verdicts_;
  size_t wanted_ = 0;
  std::unique_ptr<DiskGuard> guard_;
};

TEST_F(DiskGuardTest, RefusesSubmitsBelowTheLimitAndSaysWhy) {
  Start(999);
  const std::vector<absl::Status> verdicts = WaitForVerdicts(1);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_THAT(verdicts[0], StatusIs(absl::StatusCode::kResourceExhausted,
                                    testing::HasSubstr("999 bytes free")));
  EXPECT_THAT(verdicts[0], HasReason("DISK_LOW"));
  EXPECT_TRUE(RetryDelayOf(verdicts[0]).has_value());
  EXPECT_TRUE(guard_->low());
}

TEST_F(DiskGuardTest, AcceptsSubmitsAgainWhenThereIsSpace) {
  Start(10);
  WaitForVerdicts(1);
  free_bytes_ = 1000;
  const std::vector<absl::Status> verdicts = WaitForVerdicts(2);
  ASSERT_EQ(verdicts.size(), 2u);
  APIUM_EXPECT_OK(verdicts[1]);
  EXPECT_FALSE(guard_->low());
  EXPECT_EQ(guard_->free_bytes(), 1000u);
}

TEST_F(DiskGuardTest, SaysNothingWhileNothingChanges) {
  Start(5000);
  WaitForProbes(5);
  guard_.reset();
  EXPECT_THAT(verdicts_, testing::IsEmpty());
}

TEST_F(DiskGuardTest, KeepsItsVerdictWhileTheDiskCannotBeRead) {
  Start(10);
  WaitForVerdicts(1);
  broken_ = true;
  WaitForProbes(5);
  EXPECT_TRUE(guard_->low());
  guard_.reset();
  EXPECT_EQ(verdicts_.size(), 1u);
}

}  // namespace
}  // namespace apium::broker
