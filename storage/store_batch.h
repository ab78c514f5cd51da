#ifndef APIUM_STORAGE_STORE_BATCH_H_
#define APIUM_STORAGE_STORE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace apium {

// An ordered list of changes that a Store applies atomically. A later change of
// a key wins over an earlier one.
//
// Everything lives in one buffer, so adding a change costs no allocation once
// the buffer has grown, and a batch that is cleared and filled again reuses it.
// Not thread-safe; copyable and movable.
//
// Order matters for speed, not for meaning: a store inserts fastest when
// neighbouring changes have neighbouring keys of the same first byte (all puts
// of one kind of row, then all deletes of it, then the next kind).
//
//   batch  := change*
//   put    := 0x01 key_size:varint32 key value_size:varint32 value
//   delete := 0x00 key_size:varint32 key
//   range  := 0x0f begin_size:varint32 begin end_size:varint32 end
//
// These are the records of RocksDB's own write batch (and of its log), so that
// the RocksDB store takes over a batch with one copy instead of encoding each
// change again. A test compares the two byte by byte.
class StoreBatch {
 public:
  // Sets `key` to `value`. Keys and values are any bytes, each below 4 GiB; a
  // key is not empty.
  void Put(std::string_view key, std::string_view value);

  // Removes `key`; no error if there is no such row.
  void Delete(std::string_view key);

  // Removes every row with begin <= key < end; nothing if begin >= end. For
  // large ranges (a purge, a trim): each range makes later reads slower until
  // it is compacted away, so do not use it for one row.
  void DeleteRange(std::string_view begin, std::string_view end);

  // Adds the changes of `other` behind those of this batch. `other` may not be
  // this batch.
  void Append(const StoreBatch& other);

  // Forgets all changes and keeps the memory.
  void Clear();

  bool empty() const { return count_ == 0; }
  // Whether a DeleteRange is among the changes.
  bool has_ranges() const { return has_ranges_; }
  // Number of changes.
  size_t count() const { return count_; }
  // Size of the encoded changes, close to what the store's log will take for
  // them.
  size_t byte_size() const { return records_.size(); }

  // The encoded changes, in the grammar above. Valid until the next change of
  // the batch.
  std::string_view records() const { return records_; }

  // Calls, in order, visitor.Put(key, value), visitor.Delete(key) or
  // visitor.DeleteRange(begin, end), all with std::string_view that point into
  // the batch. The visitor may not change the batch.
  template <typename Visitor>
  void ForEach(Visitor&& visitor) const;

 private:
  static constexpr char kDelete = 0x00;
  static constexpr char kPut = 0x01;
  static constexpr char kDeleteRange = 0x0f;

  void AddBytes(std::string_view bytes);
  static std::string_view TakeBytes(std::string_view* rest);

  std::string records_;
  uint32_t count_ = 0;
  bool has_ranges_ = false;
};

template <typename Visitor>
void StoreBatch::ForEach(Visitor&& visitor) const {
  std::string_view rest = records_;
  while (!rest.empty()) {
    const char kind = rest.front();
    rest.remove_prefix(1);
    const std::string_view first = TakeBytes(&rest);
    if (kind == kDelete) {
      visitor.Delete(first);
      continue;
    }
    const std::string_view second = TakeBytes(&rest);
    if (kind == kPut) {
      visitor.Put(first, second);
    } else {
      visitor.DeleteRange(first, second);
    }
  }
}

}  // namespace apium

#endif  // APIUM_STORAGE_STORE_BATCH_H_
