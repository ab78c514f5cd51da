#include "broker/engine/outbox.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/outcome_size.h"
#include "broker/storage/key_format.h"
#include "broker/storage/outbox_reader.h"
#include "broker/storage/record_codec.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// A row is published as one message: with the largest outcome behind this many
// bytes of others, it still fits.
constexpr size_t kRowBytesMax = 1024 * 1024;

// The meta row: last_position:64 confirmed_position:64.
std::string EncodePositions(uint64_t last, uint64_t confirmed) {
  return EncodeNumber(last) + EncodeNumber(confirmed);
}

}  // namespace

absl::Status Outbox::Recover() {
  std::string value;
  absl::Status read = reader_->Get(MetaRowKey(kMetaOutbox), &value);
  if (absl::IsNotFound(read)) return absl::OkStatus();
  APIUM_RETURN_IF_ERROR(read);
  if (value.size() != 16)
    return absl::DataLossError("the store holds a damaged outbox position");
  last_ = *DecodeNumber(std::string_view(value).substr(0, 8));
  confirmed_ = *DecodeNumber(std::string_view(value).substr(8));
  return absl::OkStatus();
}

uint64_t Outbox::Add(std::shared_ptr<const Outcome> outcome) {
  if (turn_.empty() || last_entry_bytes_ >= kRowBytesMax) {
    turn_.push_back({.position = ++last_});
    last_entry_bytes_ = 0;
  }
  last_entry_bytes_ += OutcomeBytes(*outcome);
  turn_.back().outcomes.push_back(std::move(outcome));
  return last_;
}

void Outbox::Confirm(uint64_t position) {
  position = std::min(position, last_ - turn_.size());
  while (confirmed_ < position) deletes_.Delete(OutboxRowKey(++confirmed_));
}

absl::StatusOr<std::shared_ptr<const Outcome>> Outbox::Read(
    uint64_t position, const std::string& namespace_name,
    const std::string& task_id) const {
  std::vector<OutboxEntry> entries;
  APIUM_RETURN_IF_ERROR(ReadOutbox(*reader_, position, position, 1, &entries));
  for (const OutboxEntry& entry : entries) {
    for (const auto& outcome : entry.outcomes) {
      if (outcome->task_id == task_id &&
          outcome->namespace_name == namespace_name)
        return outcome;
    }
  }
  return absl::DataLossError(absl::StrCat(
      "the outcome of task ", task_id, " is missing in outbox row ", position));
}

void Outbox::Flush(StoreBatch* batch, std::vector<OutboxEntry>* entries) {
  if (turn_.empty() && deletes_.empty()) return;
  for (OutboxEntry& entry : turn_) {
    batch->Put(OutboxRowKey(entry.position), EncodeOutboxRow(entry.outcomes));
    entries->push_back(std::move(entry));
  }
  turn_.clear();
  batch->Append(deletes_);
  deletes_.Clear();
  batch->Put(MetaRowKey(kMetaOutbox), EncodePositions(last_, confirmed_));
}

}  // namespace apium::broker
