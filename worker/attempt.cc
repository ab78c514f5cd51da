#include "worker/attempt.h"

#include <utility>

namespace apium {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

Attempt::Attempt(AttemptOwner* owner, const v1::Lease& lease,
                 std::shared_ptr<const v1::Delivery> delivery)
    : owner_(owner), lease_(lease), delivery_(std::move(delivery)) {
  outcome_.unsafe_arena_set_allocated_lease(&lease_);
}

Attempt::~Attempt() {
  // What was lent is not outcome_'s to free.
  outcome_.unsafe_arena_release_lease();
  if (started()) outcome_.unsafe_arena_release_start_time();
  if (result_lent_) outcome_.unsafe_arena_release_result();
}

void Attempt::UseResult() {
  outcome_.unsafe_arena_set_allocated_result(&result_);
  result_lent_ = true;
}

void Attempt::MarkStarted(absl::Time wall, absl::Duration monotonic) {
  const int64_t nanos = absl::ToUnixNanos(wall);
  start_proto_.set_seconds(nanos / kNanosPerSecond);
  start_proto_.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  outcome_.unsafe_arena_set_allocated_start_time(&start_proto_);
  start_time_ = wall;
  start_monotonic_ = monotonic;
  started_.store(true, std::memory_order_release);
}

bool Attempt::StoreProgress(v1::Progress progress) {
  absl::MutexLock lock(&mu_);
  const bool taken = progress_ == nullptr;
  progress_ = std::make_unique<v1::Progress>(std::move(progress));
  return taken;
}

std::optional<v1::Progress> Attempt::TakeProgress() {
  absl::MutexLock lock(&mu_);
  if (progress_ == nullptr) return std::nullopt;
  std::optional<v1::Progress> progress(std::move(*progress_));
  progress_.reset();
  return progress;
}

}  // namespace apium
