#include "results/cursor.h"

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "common/fingerprint.h"

namespace apium::results {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kCheckedBytes = 38;
constexpr size_t kBytes = kCheckedBytes + 4;

template <typename Number>
void AppendFixed(Number number, std::string* out) {
  for (size_t i = 0; i < sizeof(Number); ++i) {
    out->push_back(static_cast<char>(number >> (8 * i)));
  }
}

template <typename Number>
Number TakeFixed(std::string_view* rest) {
  Number number = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    number |= static_cast<Number>(static_cast<uint8_t>((*rest)[i])) << (8 * i);
  }
  rest->remove_prefix(sizeof(Number));
  return number;
}

uint32_t CheckOf(std::string_view bytes) {
  return static_cast<uint32_t>(StableHash64(bytes));
}

}  // namespace

std::string EncodeCursor(const Cursor& cursor) {
  std::string bytes;
  bytes.reserve(kBytes);
  AppendFixed(kVersion, &bytes);
  AppendFixed(static_cast<uint8_t>(cursor.kind), &bytes);
  AppendFixed(cursor.store, &bytes);
  AppendFixed(cursor.scope, &bytes);
  AppendFixed(cursor.place.position, &bytes);
  AppendFixed(cursor.place.entry, &bytes);
  AppendFixed(static_cast<uint64_t>(cursor.time_ms), &bytes);
  AppendFixed(CheckOf(bytes), &bytes);
  std::string text;
  absl::WebSafeBase64Escape(bytes, &text);
  return text;
}

std::optional<Cursor> DecodeCursor(CursorKind kind, std::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(absl::string_view(text.data(), text.size()),
                                   &bytes) ||
      bytes.size() != kBytes) {
    return std::nullopt;
  }
  std::string_view rest = bytes;
  const uint32_t check = CheckOf(rest.substr(0, kCheckedBytes));
  if (TakeFixed<uint8_t>(&rest) != kVersion ||
      TakeFixed<uint8_t>(&rest) != static_cast<uint8_t>(kind)) {
    return std::nullopt;
  }
  Cursor cursor;
  cursor.kind = kind;
  cursor.store = TakeFixed<uint64_t>(&rest);
  cursor.scope = TakeFixed<uint64_t>(&rest);
  cursor.place.position = TakeFixed<uint64_t>(&rest);
  cursor.place.entry = TakeFixed<uint32_t>(&rest);
  cursor.time_ms = static_cast<int64_t>(TakeFixed<uint64_t>(&rest));
  if (TakeFixed<uint32_t>(&rest) != check) {
    return std::nullopt;
  }
  return cursor;
}

uint64_t WatchScope(std::string_view name_space) {
  return StableHash64(name_space);
}

uint64_t PageScope(std::string_view name_space, uint64_t filter_hash) {
  FingerprintBuilder builder;
  builder.AddBytes(name_space).AddUint64(filter_hash);
  return builder.Finish().low;
}

}  // namespace apium::results
