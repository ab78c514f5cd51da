#include "common/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace apium {
namespace {

TEST(Utf8Test, AcceptsWellFormedText) {
  for (const char* text : {"", "plain", "\xc3\xa4", "\xe2\x82\xac",
                           "\xf0\x9f\x8c\xbf", "\xef\xbf\xbd"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
    EXPECT_EQ(ToValidUtf8(text), text);
  }
}

TEST(Utf8Test, RefusesWhatTheStandardRefuses) {
  for (const char* text :
       {"\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xe2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(text));
    EXPECT_EQ(ToValidUtf8(text), std::string(std::string(text).size(), '?'));
  }
}

TEST(Utf8Test, ReplacesOnlyTheBadBytes) {
  EXPECT_EQ(ToValidUtf8("a\xff\xc3\xa4z"), "a?\xc3\xa4z");
}

TEST(Utf8Test, CutsAtACharacterAndSaysSo) {
  EXPECT_EQ(ToValidUtf8("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(ToValidUtf8("abcdefghi", 8), "abcde...");
  EXPECT_EQ(ToValidUtf8("abcd\xc3\xa4xyz", 8), "abcd...");
  EXPECT_EQ(ToValidUtf8("abcdef", 2), "..");
  EXPECT_EQ(ToValidUtf8("abcdef", 0), "");
}

}  // namespace
}  // namespace apium
