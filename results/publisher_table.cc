#include "results/publisher_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "results/result_reasons.h"
#include "results/row_format.h"

namespace apium::results {

void PublisherTable::Restore(std::string shard_id,
                             uint64_t confirmed_position) {
  shards_[std::move(shard_id)].confirmed = confirmed_position;
}

void PublisherTable::Begin(CallId stream, const std::string& shard_id,
                           ResultEffects* effects) {
  auto known = shards_.find(shard_id);
  if (known != shards_.end() && known->second.stream.has_value()) {
    // May take the shard out of the table, if nothing of it is confirmed.
    Refuse(*known->second.stream,
           WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "a newer stream publishes the outbox of shard ",
                          QuoteForMessage(shard_id))),
                      reason::kPublisherReplaced),
           effects);
  }
  shards_[shard_id].stream = stream;
  Stream& added = streams_[stream];
  added.shard_id = shard_id;
  added.messages_done = 1;
  Touch(stream, &added);
}

std::optional<absl::StatusOr<bool>> PublisherTable::Admit(CallId stream,
                                                          uint64_t position) {
  auto found = streams_.find(stream);
  if (found == streams_.end()) {
    return std::nullopt;
  }
  ++found->second.messages_done;
  Touch(stream, &found->second);
  Shard& shard = shards_[found->second.shard_id];
  if (position > shard.confirmed + 1 || position == 0) {
    return absl::StatusOr<bool>(
        WithReason(absl::InvalidArgumentError(absl::StrCat(
                       "batch.position is ", position, "; the next one of ",
                       "shard ", QuoteForMessage(found->second.shard_id),
                       " is ", shard.confirmed + 1)),
                   reason::kPositionGap));
  }
  if (position <= shard.confirmed) {
    return absl::StatusOr<bool>(false);
  }
  shard.confirmed = position;
  if (!shard.advanced) {
    shard.advanced = true;
    advanced_.push_back(found->second.shard_id);
  }
  return absl::StatusOr<bool>(true);
}

void PublisherTable::End(CallId stream) {
  auto found = streams_.find(stream);
  if (found == streams_.end()) {
    return;
  }
  auto shard = shards_.find(found->second.shard_id);
  if (shard->second.stream == stream) {
    shard->second.stream.reset();
    if (shard->second.confirmed == 0) {
      shards_.erase(shard);  // said hello and nothing else: leaves no trace
    }
  }
  streams_.erase(found);
}

void PublisherTable::Refuse(CallId stream, absl::Status status,
                            ResultEffects* effects) {
  End(stream);
  effects->ends.push_back({.stream = stream, .status = std::move(status)});
}

void PublisherTable::FinishGroup(ResultEffects* effects) {
  std::sort(advanced_.begin(), advanced_.end());
  for (const std::string& shard_id : advanced_) {
    Shard& shard = shards_[shard_id];
    shard.advanced = false;
    effects->writes.Put(ShardKey(shard_id), PositionValue(shard.confirmed));
  }
  advanced_.clear();
  for (const CallId id : spoke_) {
    auto found = streams_.find(id);
    if (found == streams_.end()) {
      continue;  // ended in this group
    }
    Stream& stream = found->second;
    effects->confirmations.push_back(
        {.stream = id,
         .position = shards_[stream.shard_id].confirmed,
         .messages_done = stream.messages_done});
    stream.spoke = false;
    stream.messages_done = 0;
  }
  spoke_.clear();
}

void PublisherTable::EndAll(const absl::Status& status,
                            ResultEffects* effects) {
  for (const auto& [id, stream] : streams_) {
    shards_[stream.shard_id].stream.reset();
    effects->ends.push_back({.stream = id, .status = status});
  }
  streams_.clear();
}

void PublisherTable::Touch(CallId id, Stream* stream) {
  if (!stream->spoke) {
    stream->spoke = true;
    spoke_.push_back(id);
  }
}

}  // namespace apium::results
