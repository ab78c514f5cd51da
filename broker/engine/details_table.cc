#include "broker/engine/details_table.h"

#include <utility>

#include "broker/storage/chunk_codec.h"
#include "broker/storage/key_format.h"
#include "common/status_macros.h"

namespace apium::broker {

absl::StatusOr<std::shared_ptr<const Payload>> DetailsTable::Find(
    const std::string& task_key) const {
  if (const auto it = changes_.find(task_key); it != changes_.end())
    return it->second;
  std::string value;
  const absl::Status read = reader_->Get(DetailsRowKey(task_key), &value);
  if (absl::IsNotFound(read)) return nullptr;
  APIUM_RETURN_IF_ERROR(read);
  APIUM_ASSIGN_OR_RETURN(Payload details, DecodeDetails(value));
  return std::make_shared<const Payload>(std::move(details));
}

void DetailsTable::Put(const std::string& task_key,
                       std::shared_ptr<const Payload> details) {
  changes_[task_key] = std::move(details);
}

void DetailsTable::Erase(const std::string& task_key) {
  changes_[task_key] = nullptr;
}

void DetailsTable::Flush(StoreBatch* batch) {
  for (const auto& [task_key, details] : changes_) {
    if (details == nullptr) {
      batch->Delete(DetailsRowKey(task_key));
    } else {
      batch->Put(DetailsRowKey(task_key), EncodeDetails(*details));
    }
  }
  changes_.clear();
}

}  // namespace apium::broker
