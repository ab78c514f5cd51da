#include "broker/storage/outbox_reader.h"

#include <optional>
#include <string_view>
#include <utility>

#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "storage/store.h"

namespace apium::broker {

absl::Status ReadOutbox(const StoreReader& reader, uint64_t from_position,
                        uint64_t to_position, size_t max_bytes,
                        std::vector<OutboxEntry>* entries) {
  entries->clear();
  absl::Status decoded = absl::OkStatus();
  size_t bytes = 0;
  uint64_t next = from_position;
  absl::Status scanned =
      reader.Scan(OutboxRowKey(from_position), OutboxRowKey(to_position + 1),
                  [&](std::string_view key, std::string_view value) {
                    const std::optional<uint64_t> position = NumberOfRow(key);
                    if (position != next) return false;
                    auto outcomes = DecodeOutboxRow(value);
                    if (!outcomes.ok()) {
                      decoded = outcomes.status();
                      return false;
                    }
                    entries->push_back(
                        {.position = next++, .outcomes = *std::move(outcomes)});
                    bytes += value.size();
                    return bytes < max_bytes;
                  });
  return scanned.ok() ? decoded : scanned;
}

}  // namespace apium::broker
