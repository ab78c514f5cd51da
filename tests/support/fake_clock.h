#ifndef APIUM_TESTS_SUPPORT_FAKE_CLOCK_H_
#define APIUM_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace apium {

// Stands still until told. Any thread.
class FakeClock final : public Clock {
 public:
  // An ordinary day, so that a time that was forgotten (1970) shows.
  FakeClock() : FakeClock(absl::FromUnixSeconds(1'700'000'000)) {}
  explicit FakeClock(absl::Time now) : now_(now) {}

  absl::Time Now() const override {
    absl::MutexLock lock(&mu_);
    return now_;
  }
  absl::Duration Monotonic() const override {
    absl::MutexLock lock(&mu_);
    return monotonic_;
  }

  // Both clocks go on by `step` (>= 0).
  void Advance(absl::Duration step) {
    absl::MutexLock lock(&mu_);
    now_ += step;
    monotonic_ += step;
  }
  // The wall clock is set, forwards or backwards, as by NTP; the monotonic one
  // does not notice.
  void SetNow(absl::Time now) {
    absl::MutexLock lock(&mu_);
    now_ = now;
  }

 private:
  mutable absl::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mu_) = absl::Seconds(1000);
};

}  // namespace apium

#endif  // APIUM_TESTS_SUPPORT_FAKE_CLOCK_H_
