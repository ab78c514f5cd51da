#include "storage/store_batch.h"

namespace apium {

void StoreBatch::Put(std::string_view key, std::string_view value) {
  records_.push_back(kPut);
  AddBytes(key);
  AddBytes(value);
  ++count_;
}

void StoreBatch::Delete(std::string_view key) {
  records_.push_back(kDelete);
  AddBytes(key);
  ++count_;
}

void StoreBatch::DeleteRange(std::string_view begin, std::string_view end) {
  // RocksDB treats an inverted range as an error of the whole batch.
  if (begin >= end) return;
  records_.push_back(kDeleteRange);
  AddBytes(begin);
  AddBytes(end);
  ++count_;
  has_ranges_ = true;
}

void StoreBatch::Append(const StoreBatch& other) {
  records_.append(other.records_);
  count_ += other.count_;
  has_ranges_ |= other.has_ranges_;
}

void StoreBatch::Clear() {
  records_.clear();
  count_ = 0;
  has_ranges_ = false;
}

void StoreBatch::AddBytes(std::string_view bytes) {
  auto rest = static_cast<uint32_t>(bytes.size());
  while (rest >= 0x80) {
    records_.push_back(static_cast<char>(rest | 0x80));
    rest >>= 7;
  }
  records_.push_back(static_cast<char>(rest));
  records_.append(bytes);
}

std::string_view StoreBatch::TakeBytes(std::string_view* rest) {
  uint32_t size = 0;
  size_t used = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>((*rest)[used++]);
    size |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const std::string_view bytes = rest->substr(used, size);
  rest->remove_prefix(used + size);
  return bytes;
}

}  // namespace apium
