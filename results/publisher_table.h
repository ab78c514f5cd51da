#ifndef APIUM_RESULTS_PUBLISHER_TABLE_H_
#define APIUM_RESULTS_PUBLISHER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"
#include "results/command.h"
#include "results/effects.h"

namespace apium::results {

// Which outboxes feed this service, and how far each is recorded. Part of
// ResultCore, on its thread.
class PublisherTable {
 public:
  // At start: what the store says of a shard.
  void Restore(std::string shard_id, uint64_t confirmed_position);

  // A stream says whose outbox it is. Another stream of the same shard ends
  // with FAILED_PRECONDITION / PUBLISHER_REPLACED: the newest is the one that
  // lives, an older one is a connection that its broker has given up.
  void Begin(CallId stream, const std::string& shard_id,
             ResultEffects* effects);

  // Counts a batch of `stream` at `position`. True: record it. False: it is
  // recorded already. INVALID_ARGUMENT / POSITION_GAP: batches are missing
  // before it. Nothing: the stream has ended, forget the batch.
  std::optional<absl::StatusOr<bool>> Admit(CallId stream, uint64_t position);

  // Forgets a stream; unknown ones are none of its business.
  void End(CallId stream);

  // Ends a stream from here.
  void Refuse(CallId stream, absl::Status status, ResultEffects* effects);

  // At the end of a group: writes the rows of shards that advanced, answers
  // the streams that said something.
  void FinishGroup(ResultEffects* effects);

  // Ends every stream.
  void EndAll(const absl::Status& status, ResultEffects* effects);

  size_t stream_count() const { return streams_.size(); }

 private:
  struct Shard {
    uint64_t confirmed = 0;
    std::optional<CallId> stream;
    bool advanced = false;  // in this group
  };
  struct Stream {
    std::string shard_id;
    size_t messages_done = 0;  // in this group
    bool spoke = false;        // in this group
  };

  void Touch(CallId id, Stream* stream);

  absl::node_hash_map<std::string, Shard> shards_;
  absl::flat_hash_map<CallId, Stream> streams_;
  std::vector<std::string> advanced_;  // shards, in this group
  std::vector<CallId> spoke_;          // streams, in this group
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_PUBLISHER_TABLE_H_
