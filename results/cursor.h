// What readers hand back to go on: cursors of watches, page tokens of lists.
// Opaque to them, stateless here.
//
//   text  := base64url(bytes)
//   bytes := version:uint8(1) kind:uint8 store:fixed64le scope:fixed64le
//            position:fixed64le entry:fixed32le time_ms:fixed64le
//            check:fixed32le
//
// `store` tells the store (a cursor of a store that was wiped means nothing in
// the new one), `scope` what else it is bound to, `check` a damaged text.

#ifndef APIUM_RESULTS_CURSOR_H_
#define APIUM_RESULTS_CURSOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace apium::results {

// A place in the log of one namespace: before entry `entry` of row `position`.
struct LogPlace {
  uint64_t position = 0;
  uint32_t entry = 0;

  friend bool operator==(const LogPlace&, const LogPlace&) = default;
  friend auto operator<=>(const LogPlace&, const LogPlace&) = default;
};

enum class CursorKind : uint8_t { kPage = 'P', kWatch = 'W' };

struct Cursor {
  CursorKind kind = CursorKind::kWatch;
  uint64_t store = 0;
  uint64_t scope = 0;
  LogPlace place;
  // A watch's: when the last row before `place` was recorded, or when the
  // watch began. Nothing that follows was recorded earlier.
  int64_t time_ms = 0;

  friend bool operator==(const Cursor&, const Cursor&) = default;
};

std::string EncodeCursor(const Cursor& cursor);
// Nothing when `text` is not a cursor of that kind.
std::optional<Cursor> DecodeCursor(CursorKind kind, std::string_view text);

// Scope of watches in a namespace.
uint64_t WatchScope(std::string_view name_space);
// Scope of pages: namespace and filter.
uint64_t PageScope(std::string_view name_space, uint64_t filter_hash);

}  // namespace apium::results

#endif  // APIUM_RESULTS_CURSOR_H_
