#include "client/stream_ledger.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/strings.h"

namespace apium {
namespace {

// What a task adds to its message, roughly: ByteSizeLong would walk all of it,
// and the limit has a lot of room above.
size_t ApproximateBytes(const v1::TaskSpec& spec) {
  size_t bytes = spec.payload().data().size() + 128;
  for (const auto& [name, value] : spec.headers())
    bytes += name.size() + value.size() + 8;
  return bytes;
}

}  // namespace

StreamLedger::StreamLedger(const StreamLedgerLimits& limits)
    : limits_(limits), batch_tasks_max_(limits.batch_tasks_max) {
  APIUM_CHECK(limits.window >= 1 && limits.batch_tasks_max >= 1);
}

uint64_t StreamLedger::Add(v1::TaskSpec* spec) {
  APIUM_CHECK(room() > 0);
  const uint64_t sequence = ++last_sequence_;
  ++unanswered_;
  Append(spec, sequence);
  return sequence;
}

void StreamLedger::Open(size_t window) {
  APIUM_CHECK(sent_ == 0 && window >= 1);
  broker_window_ = window;
  next_number_ = 1;
  batch_tasks_max_ = std::min(limits_.batch_tasks_max, window);
  // Messages that were filled for a broker with a larger window could never be
  // sent.
  const bool too_large =
      std::any_of(batches_.begin(), batches_.end(),
                  [this](const std::unique_ptr<Batch>& batch) {
                    return batch->size() > batch_tasks_max_;
                  });
  if (too_large) {
    Rewind();
    broker_window_ = window;
  }
}

const v1::StreamTasksRequest* StreamLedger::Next() {
  if (sent_ == batches_.size()) return nullptr;
  Batch& batch = *batches_[sent_];
  if (sent_unanswered_ + batch.size() > broker_window_) return nullptr;
  batch.first_number = next_number_;
  next_number_ += batch.size();
  sent_unanswered_ += batch.size();
  ++sent_;
  return &batch.message;
}

absl::StatusOr<StreamLedger::Answered> StreamLedger::Answer(uint64_t number) {
  Batch* batch = FindSent(number);
  if (batch == nullptr) {
    return absl::InternalError(StrCat(
        "the broker answered task ", number, " of the stream, which has sent ",
        next_number_ - 1, " and has no such task unanswered"));
  }
  const size_t index = number - batch->first_number;
  if (batch->answered[index]) {
    return absl::InternalError(
        StrCat("the broker answered task ", number, " of the stream twice"));
  }
  batch->answered[index] = true;
  --batch->unanswered;
  --unanswered_;
  --sent_unanswered_;
  return Answered{
      .sequence = batch->sequences[index],
      .task_id =
          &batch->message.batch().specs(static_cast<int>(index)).task_id()};
}

void StreamLedger::Recycle() {
  while (sent_ > 0 && batches_.front()->unanswered == 0) {
    std::unique_ptr<Batch> batch = std::move(batches_.front());
    batches_.pop_front();
    --sent_;
    if (last_found_ == batch.get()) last_found_ = nullptr;
    // Clear keeps the tasks and their strings for reuse.
    batch->message.mutable_batch()->clear_specs();
    batch->sequences.clear();
    batch->answered.clear();
    batch->bytes = 0;
    free_.push_back(std::move(batch));
  }
}

void StreamLedger::Rewind() {
  std::deque<std::unique_ptr<Batch>> old = std::move(batches_);
  batches_.clear();
  sent_ = 0;
  sent_unanswered_ = 0;
  broker_window_ = 0;
  next_number_ = 1;
  last_found_ = nullptr;
  for (const std::unique_ptr<Batch>& batch : old) {
    for (size_t i = 0; i < batch->size(); ++i) {
      if (batch->answered[i]) continue;
      Append(batch->message.mutable_batch()->mutable_specs(static_cast<int>(i)),
             batch->sequences[i]);
    }
  }
}

std::vector<std::string> StreamLedger::UnansweredIds() const {
  std::vector<std::string> ids;
  ids.reserve(unanswered_);
  for (const std::unique_ptr<Batch>& batch : batches_) {
    for (size_t i = 0; i < batch->size(); ++i) {
      if (!batch->answered[i])
        ids.push_back(
            batch->message.batch().specs(static_cast<int>(i)).task_id());
    }
  }
  return ids;
}

StreamLedger::Batch* StreamLedger::BatchFor(size_t bytes) {
  if (batches_.size() > sent_) {
    Batch* open = batches_.back().get();
    if (open->size() < batch_tasks_max_ &&
        open->bytes + bytes <= limits_.batch_bytes_max)
      return open;
  }
  if (free_.empty()) {
    batches_.push_back(std::make_unique<Batch>());
  } else {
    batches_.push_back(std::move(free_.back()));
    free_.pop_back();
  }
  return batches_.back().get();
}

void StreamLedger::Append(v1::TaskSpec* spec, uint64_t sequence) {
  const size_t bytes = ApproximateBytes(*spec);
  Batch* batch = BatchFor(bytes);
  batch->message.mutable_batch()->add_specs()->Swap(spec);
  batch->sequences.push_back(sequence);
  batch->answered.push_back(false);
  ++batch->unanswered;
  batch->bytes += bytes;
}

StreamLedger::Batch* StreamLedger::FindSent(uint64_t number) {
  const auto holds = [number](const Batch& batch) {
    return number >= batch.first_number &&
           number - batch.first_number < batch.size();
  };
  // Answers come in runs.
  if (last_found_ != nullptr && holds(*last_found_)) return last_found_;
  const auto sent_end = batches_.begin() + static_cast<std::ptrdiff_t>(sent_);
  auto after =
      std::upper_bound(batches_.begin(), sent_end, number,
                       [](uint64_t value, const std::unique_ptr<Batch>& batch) {
                         return value < batch->first_number;
                       });
  if (after == batches_.begin()) return nullptr;
  Batch* batch = std::prev(after)->get();
  if (!holds(*batch)) return nullptr;
  last_found_ = batch;
  return batch;
}

}  // namespace apium
