#include "common/glob.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

namespace apium {
namespace {

TEST(GlobTest, WithoutWildcardsOnlyTheSameTextMatches) {
  EXPECT_TRUE(GlobMatch("mail.send", "mail.send"));
  EXPECT_FALSE(GlobMatch("mail.send", "mail.sent"));
  EXPECT_FALSE(GlobMatch("mail.send", "mail.send2"));
  EXPECT_FALSE(GlobMatch("mail.send", "mail.sen"));
  EXPECT_FALSE(GlobMatch("mail.send", "Mail.send"));
  EXPECT_TRUE(GlobMatch("", ""));
  EXPECT_FALSE(GlobMatch("", "a"));
}

TEST(GlobTest, AStarStandsForAnyCharactersAndForNone) {
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("*", "anything.at.all"));
  EXPECT_TRUE(GlobMatch("mail.*", "mail."));
  EXPECT_TRUE(GlobMatch("mail.*", "mail.a.b"));
  EXPECT_FALSE(GlobMatch("mail.*", "mail"));
  EXPECT_TRUE(GlobMatch("*.send", "mail.send"));
  EXPECT_FALSE(GlobMatch("*.send", "mail.sends"));
  EXPECT_TRUE(GlobMatch("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(GlobMatch("a*b*c", "a-c-b"));
  EXPECT_TRUE(GlobMatch("**a**", "a"));
  EXPECT_TRUE(GlobMatch("*ab", "aab"));
}

TEST(GlobTest, AQuestionMarkStandsForExactlyOneCharacter) {
  EXPECT_TRUE(GlobMatch("shard-?", "shard-7"));
  EXPECT_FALSE(GlobMatch("shard-?", "shard-"));
  EXPECT_FALSE(GlobMatch("shard-?", "shard-77"));
  EXPECT_TRUE(GlobMatch("?*", "a"));
  EXPECT_FALSE(GlobMatch("?*", ""));
  EXPECT_TRUE(GlobMatch("*?b", "xb"));
  EXPECT_TRUE(GlobMatch("*?b", "bb"));
}

// What the words of the header say, without a thought for time.
bool Slowly(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (size_t taken = 0; taken <= text.size(); ++taken) {
      if (Slowly(pattern.substr(1), text.substr(taken))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  if (pattern.front() != '?' && pattern.front() != text.front()) return false;
  return Slowly(pattern.substr(1), text.substr(1));
}

TEST(GlobTest, AgreesWithASearchOfAllPossibilities) {
  std::mt19937 random(1);
  const auto pick = [&](std::string_view alphabet, size_t length_max) {
    std::string picked(random() % (length_max + 1), ' ');
    for (char& c : picked) c = alphabet[random() % alphabet.size()];
    return picked;
  };
  int matches = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::string pattern = pick("ab*?", 7);
    const std::string text = pick("ab", 7);
    const bool expected = Slowly(pattern, text);
    ASSERT_EQ(GlobMatch(pattern, text), expected)
        << "\"" << pattern << "\" \"" << text << "\"";
    matches += expected ? 1 : 0;
  }
  EXPECT_GT(matches, 1000);
}

// With a search of all possibilities this would not end.
TEST(GlobTest, ManyStarsAreNotSlow) {
  std::string pattern;
  for (int i = 0; i < 127; ++i) pattern += "a*";
  EXPECT_FALSE(GlobMatch(pattern + "b", std::string(255, 'a')));
  EXPECT_TRUE(GlobMatch(pattern, std::string(255, 'a')));
}

}  // namespace
}  // namespace apium
