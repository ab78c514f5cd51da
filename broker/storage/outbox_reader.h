#ifndef APIUM_BROKER_STORAGE_OUTBOX_READER_H_
#define APIUM_BROKER_STORAGE_OUTBOX_READER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "broker/engine/effects.h"

namespace apium {
class StoreReader;
}  // namespace apium

namespace apium::broker {

// Reads outbox rows from `from_position` to `to_position`, both included, until
// `max_bytes` of rows are read (at least one row), into `entries`. Stops early
// at a row that is not there. DATA_LOSS: a row cannot be read. Any thread; the
// caller must know that what it asks for is synced.
absl::Status ReadOutbox(const StoreReader& reader, uint64_t from_position,
                        uint64_t to_position, size_t max_bytes,
                        std::vector<OutboxEntry>* entries);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_OUTBOX_READER_H_
