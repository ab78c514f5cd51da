#include "broker/service/page_token.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace apium::broker {
namespace {

using Section = TaskPageToken::Section;

TEST(PageTokenTest, ComesBackAsItWas) {
  for (const Section section : {Section::kLive, Section::kFinished}) {
    for (const std::string& inner :
         {std::string(), std::string("a\0b", 3), std::string(300, 'x')}) {
      const std::string text = EncodePageToken({section, inner}, "filter");
      const auto token = DecodePageToken(text, "filter");
      APIUM_ASSERT_OK(token);
      EXPECT_EQ(token->section, section);
      EXPECT_EQ(token->inner, inner);
    }
  }
}

TEST(PageTokenTest, IsRefusedWithAnotherFilter) {
  const std::string text = EncodePageToken({Section::kLive, "x"}, "queue=a");
  EXPECT_THAT(DecodePageToken(text, "queue=b"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::HasSubstr("page_token")));
}

TEST(PageTokenTest, IsRefusedWhenChangedAnywhere) {
  const std::string text = EncodePageToken({Section::kLive, "inner"}, "f");
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto token = DecodePageToken(changed, "f");
    // The last character may carry bits that mean nothing.
    if (token.ok()) {
      EXPECT_EQ(i, text.size() - 1);
    }
  }
  EXPECT_FALSE(DecodePageToken("", "f").ok());
  EXPECT_FALSE(DecodePageToken("!!", "f").ok());
  EXPECT_FALSE(DecodePageToken(text.substr(0, 8), "f").ok());
}

}  // namespace
}  // namespace apium::broker
