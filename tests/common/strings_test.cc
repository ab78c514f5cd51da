#include "common/strings.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/string_view.h"

namespace apium {
namespace {

TEST(StringsTest, JoinsBothKindsOfStringView) {
  const std::string_view standard = "std";
  const absl::string_view abseil = "absl";
  EXPECT_EQ(StrCat(standard, " ", abseil, " ", std::string("string"), " ", 7,
                   " ", 1.5),
            "std absl string 7 1.5");
  std::string text = "a";
  StrAppend(&text, standard, abseil);
  EXPECT_EQ(text, "astdabsl");
}

TEST(StringsTest, ConvertsBetweenTheTwo) {
  const std::string_view text("a\0b", 3);
  EXPECT_EQ(StdView(AbslView(text)), text);
}

}  // namespace
}  // namespace apium
