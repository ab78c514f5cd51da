#include "worker/attempt.h"

#include <cmath>
#include <utility>

#include "common/error_reason.h"
#include "common/strings.h"

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
  if (progress.has_details()) {
    details_.reset(progress.release_details());
    details_taken_ = false;
    has_stream_.store(true, std::memory_order_release);
  }
  progress_ = std::make_unique<v1::Progress>(std::move(progress));
  return std::exchange(progress_taken_, false);
}

std::optional<v1::Progress> Attempt::TakeProgress() {
  absl::MutexLock lock(&mu_);
  if (progress_ == nullptr || progress_taken_) return std::nullopt;
  progress_taken_ = true;
  std::optional<v1::Progress> progress(*progress_);
  if (!std::exchange(details_taken_, true))
    *progress->mutable_details() = *details_;
  return progress;
}

bool Attempt::HasUnsentDetails() const {
  absl::MutexLock lock(&mu_);
  return !details_taken_;
}

// --- Charges ---

absl::Status Attempt::Charge(std::string_view limit, double points) {
  {
    absl::MutexLock lock(&mu_);
    if (charges_ == nullptr) {
      charges_ = std::make_unique<std::map<std::string, double, std::less<>>>();
    }
    auto charge = charges_->find(limit);
    if (charge == charges_->end()) {
      if (charges_->size() == kChargedLimitsMax) {
        return absl::ResourceExhaustedError(
            StrCat("charges of ", kChargedLimitsMax,
                   " limits wait to be sent; try again later"));
      }
      charge = charges_->emplace(limit, 0).first;
    }
    if (!std::isfinite(charge->second + points)) {
      return InvalidField("points", "add up to no finite number");
    }
    charge->second += points;
    has_stream_.store(true, std::memory_order_release);
  }
  owner_->OnProgress(*this);
  return absl::OkStatus();
}

size_t Attempt::TakeCharges(v1::WorkerReport* report) {
  absl::MutexLock lock(&mu_);
  if (charges_ == nullptr) return 0;
  size_t bytes = 0;
  for (const auto& [limit, points] : *charges_) {
    if (points == 0) continue;  // taken and given back
    v1::LimitCharge* added = report->add_charges();
    *added->mutable_lease() = lease_;
    added->set_limit(limit);
    added->set_points(points);
    bytes += added->ByteSizeLong();
  }
  charges_.reset();
  return bytes;
}

// --- Chunks ---

Attempt::Chunks* Attempt::ChunksOf() {
  if (chunks_ == nullptr) {
    chunks_ = std::make_unique<Chunks>();
    chunks_->window = owner_->chunk_window();
    has_stream_.store(true, std::memory_order_release);
  }
  return chunks_.get();
}

absl::Status Attempt::AppendChunk(v1::Payload chunk, absl::Time deadline) {
  std::shared_ptr<ChunkWindow> window;
  bool first = false;
  {
    absl::MutexLock lock(&mu_);
    first = chunks_ == nullptr;
    Chunks* chunks = ChunksOf();
    if (!chunks->refusal.ok()) return chunks->refusal;
    window = chunks->window;
  }
  if (window == nullptr)
    return absl::UnimplementedError("chunks are not taken here");
  if (first) {
    // Wakes Take and FlushChunks.
    cancel_.OnCancel([this, window] {
      window->Wake();
      absl::MutexLock lock(&mu_);
    });
  }
  const size_t bytes = chunk.ByteSizeLong();
  const absl::Status taken =
      window->Take(bytes, deadline, [this] { return cancel_.IsCancelled(); });
  if (!taken.ok()) return taken;
  ChunkHold hold(std::move(window), bytes);
  {
    absl::MutexLock lock(&mu_);
    if (!chunks_->refusal.ok()) return chunks_->refusal;
    chunks_->unacknowledged.push_back(
        {++chunks_->last_number, std::move(chunk), std::move(hold)});
  }
  owner_->OnChunks(*this);
  return absl::OkStatus();
}

absl::Status Attempt::FlushChunks(absl::Time deadline) {
  const auto settled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return chunks_ == nullptr || chunks_->unacknowledged.empty() ||
           !chunks_->refusal.ok() || cancel_.IsCancelled();
  };
  absl::MutexLock lock(&mu_);
  if (!mu_.AwaitWithDeadline(absl::Condition(&settled), deadline)) {
    return absl::DeadlineExceededError(
        "the broker has not acknowledged the chunks in time");
  }
  if (chunks_ == nullptr) return absl::OkStatus();
  if (!chunks_->refusal.ok()) return chunks_->refusal;
  return chunks_->unacknowledged.empty()
             ? absl::OkStatus()
             : absl::CancelledError("the attempt is to stop");
}

size_t Attempt::TakeChunks(size_t bytes_max, v1::WorkerReport* report) {
  absl::MutexLock lock(&mu_);
  if (chunks_ == nullptr) return 0;
  size_t bytes = 0;
  // Numbers have no gaps: those that were sent are in front.
  const std::deque<Chunk>& all = chunks_->unacknowledged;
  size_t i = all.empty() || chunks_->last_sent < all.front().number
                 ? 0
                 : chunks_->last_sent + 1 - all.front().number;
  for (; i < all.size() && bytes < bytes_max; ++i) {
    v1::AppendedChunk* added = report->add_chunks();
    *added->mutable_lease() = lease_;
    added->set_number(all[i].number);
    *added->mutable_payload() = all[i].payload;
    chunks_->last_sent = all[i].number;
    bytes += added->ByteSizeLong();
  }
  return bytes;
}

bool Attempt::HasUnsentChunks() const {
  absl::MutexLock lock(&mu_);
  return chunks_ != nullptr && !chunks_->unacknowledged.empty() &&
         chunks_->unacknowledged.back().number > chunks_->last_sent;
}

void Attempt::AcknowledgeChunks(uint64_t number, const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (chunks_ == nullptr) return;
  std::deque<Chunk>& all = chunks_->unacknowledged;
  if (!status.ok()) {
    // What follows would be refused, too.
    if (chunks_->refusal.ok()) chunks_->refusal = status;
    all.clear();
    return;
  }
  while (!all.empty() && all.front().number <= number) all.pop_front();
}

void Attempt::SendAgain() {
  absl::MutexLock lock(&mu_);
  if (progress_ != nullptr) progress_taken_ = false;
  if (details_ != nullptr) details_taken_ = false;
  if (chunks_ != nullptr) chunks_->last_sent = 0;
}

void Attempt::DropChunks(const absl::Status& status) {
  absl::MutexLock lock(&mu_);
  if (chunks_ == nullptr) return;
  if (chunks_->refusal.ok()) chunks_->refusal = status;
  chunks_->unacknowledged.clear();
}

}  // namespace apium
