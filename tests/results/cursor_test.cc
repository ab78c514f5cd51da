#include "results/cursor.h"

#include <gtest/gtest.h>

namespace apium::results {
namespace {

constexpr Cursor kCursor = {.kind = CursorKind::kWatch,
                            .store = 0x0123456789abcdef,
                            .scope = 0xfedcba9876543210,
                            .place = {.position = 1'000'000, .entry = 63},
                            .time_ms = 1'700'000'000'000};

TEST(CursorTest, IsReadBackAsItWasWritten) {
  EXPECT_EQ(DecodeCursor(CursorKind::kWatch, EncodeCursor(kCursor)), kCursor);
}

TEST(CursorTest, OfOneKindIsNotTakenForAnother) {
  EXPECT_EQ(DecodeCursor(CursorKind::kPage, EncodeCursor(kCursor)),
            std::nullopt);
}

TEST(CursorTest, EveryChangedCharacterIsNoticed) {
  const std::string text = EncodeCursor(kCursor);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(DecodeCursor(CursorKind::kWatch, changed), std::nullopt) << i;
  }
}

TEST(CursorTest, OtherTextsAreNoCursors) {
  for (const char* text : {"", "0", "abc", "!!!!", "AAAAAAAA"}) {
    EXPECT_EQ(DecodeCursor(CursorKind::kWatch, text), std::nullopt) << text;
  }
}

TEST(CursorTest, ScopesDiffer) {
  EXPECT_NE(WatchScope("a"), WatchScope("b"));
  EXPECT_NE(PageScope("a", 1), PageScope("a", 2));
  EXPECT_NE(PageScope("a", 1), PageScope("b", 1));
}

}  // namespace
}  // namespace apium::results
