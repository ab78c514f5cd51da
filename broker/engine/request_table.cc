#include "broker/engine/request_table.h"

#include <utility>

#include "absl/status/status.h"
#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::StatusOr<const StoredRequest*> RequestTable::Find(const std::string& key,
                                                        absl::Time now) {
  const auto [it, is_new] = looked_at_.try_emplace(key);
  StoredRequest& request = it->second.request;
  if (is_new) {
    std::string value;
    const absl::Status read = reader_->Get(RequestRowKey(key), &value);
    if (!read.ok() && !absl::IsNotFound(read)) return read;
    if (read.ok()) {
      APIUM_ASSIGN_OR_RETURN(request, DecodeRequest(value));
    }
  }
  const bool known = !request.answers.empty() &&
                     request.keep_until_millis > absl::ToUnixMillis(now);
  return known ? &request : nullptr;
}

void RequestTable::Add(const std::string& key, StoredRequest request) {
  looked_at_[key] = {.request = std::move(request), .dirty = true};
}

void RequestTable::Flush(StoreBatch* batch) {
  for (const auto& [key, entry] : looked_at_) {
    if (entry.dirty)
      batch->Put(RequestRowKey(key), EncodeRequest(entry.request));
  }
  looked_at_.clear();
}

}  // namespace apium::broker
