#ifndef APIUM_BROKER_ENGINE_TICKETS_H_
#define APIUM_BROKER_ENGINE_TICKETS_H_

#include <cstdint>

#include "broker/storage/key_format.h"
#include "storage/store_batch.h"

namespace apium::broker {

// Numbers that only ever grow, over restarts too: epochs of leases, sequences
// of ready chunks, rows of the lease journal. Blocks are reserved on disk ahead
// of use, so that a number costs no write; a restart skips the rest of a block.
class Tickets {
 public:
  // `reserved`: what the store's row says; 0 for a new store.
  explicit Tickets(uint64_t reserved)
      : next_(reserved + 1), reserved_(reserved) {}

  uint64_t Next() { return next_++; }
  // The number that Next would return.
  uint64_t Peek() const { return next_; }

  // End of the turn: reserves on, in the batch that first uses the numbers.
  void Flush(StoreBatch* batch) {
    if (next_ <= reserved_ + 1) return;
    reserved_ = next_ + kBlock;
    batch->Put(MetaRowKey(kMetaTicket), EncodeNumber(reserved_));
  }

 private:
  static constexpr uint64_t kBlock = uint64_t{1} << 20;
  uint64_t next_;
  uint64_t reserved_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TICKETS_H_
