#include "broker/engine/topic_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace apium::broker {
namespace {

using Words = std::vector<std::string>;

// What the index must do, as AMQP 0-9-1 says it.
bool NaiveMatch(const Words& pattern, size_t p, const Words& key, size_t k) {
  if (p == pattern.size()) return k == key.size();
  if (pattern[p] == "#") {
    for (size_t next = k; next <= key.size(); ++next) {
      if (NaiveMatch(pattern, p + 1, key, next)) return true;
    }
    return false;
  }
  if (k == key.size()) return false;
  return (pattern[p] == "*" || pattern[p] == key[k]) &&
         NaiveMatch(pattern, p + 1, key, k + 1);
}

bool NaiveMatch(const std::string& pattern, const std::string& key) {
  return NaiveMatch(absl::StrSplit(pattern, '.'), 0, absl::StrSplit(key, '.'),
                    0);
}

// One pattern.
bool Matches(const std::string& pattern, const std::string& key) {
  const Binding binding{.queue = "q", .routing_key = pattern};
  TopicIndex index;
  index.Add(&binding);
  std::vector<const Binding*> matches;
  index.Match(key, &matches);
  EXPECT_LE(matches.size(), 1u) << pattern;
  return !matches.empty();
}

TEST(TopicMatchTest, WordsMustBeEqual) {
  EXPECT_TRUE(Matches("a.b", "a.b"));
  EXPECT_FALSE(Matches("a.b", "a"));
  EXPECT_FALSE(Matches("a.b", "a.b.c"));
  EXPECT_FALSE(Matches("a.b", "a.bb"));
}

TEST(TopicMatchTest, AStarIsOneWord) {
  EXPECT_TRUE(Matches("a.*.c", "a.b.c"));
  EXPECT_TRUE(Matches("*", "a"));
  EXPECT_TRUE(Matches("a.*", "a."));
  EXPECT_FALSE(Matches("a.*", "a"));
  EXPECT_FALSE(Matches("*", "a.b"));
  EXPECT_FALSE(Matches("a*", "ab"));
}

TEST(TopicMatchTest, AHashIsAnyNumberOfWords) {
  EXPECT_TRUE(Matches("#", ""));
  EXPECT_TRUE(Matches("#", "a.b.c"));
  EXPECT_TRUE(Matches("a.#", "a"));
  EXPECT_TRUE(Matches("a.#", "a.b.c"));
  EXPECT_TRUE(Matches("#.c", "c"));
  EXPECT_TRUE(Matches("#.c", "a.b.c"));
  EXPECT_TRUE(Matches("a.#.c", "a.c"));
  EXPECT_TRUE(Matches("a.#.c", "a.b.b.c"));
  EXPECT_TRUE(Matches("#.b.#", "a.b"));
  EXPECT_TRUE(Matches("#.#", "a"));
  EXPECT_TRUE(Matches("#.*", "a.b"));
  EXPECT_FALSE(Matches("a.#.c", "a.b"));
  EXPECT_FALSE(Matches("a.#", "b.a"));
}

TEST(TopicMatchTest, WordsMayBeEmpty) {
  EXPECT_TRUE(Matches("", ""));
  EXPECT_FALSE(Matches("", "a"));
  EXPECT_TRUE(Matches("a..b", "a..b"));
  EXPECT_TRUE(Matches("a.*.b", "a..b"));
  EXPECT_FALSE(Matches("a.b", "a..b"));
  EXPECT_TRUE(Matches("*", ""));
}

TEST(TopicMatchTest, OneBindingMatchesOnceHoweverManyWaysThereAre) {
  EXPECT_TRUE(Matches("#.a.#", "a.a.a.a"));
  EXPECT_TRUE(Matches("#.#.#", "a.b"));
}

// Many patterns at a time, added and removed at random.
TEST(TopicMatchTest, AgreesWithTheNaiveMatcher) {
  const std::vector<std::string> pattern_words = {"a", "b", "", "*", "#", "#"};
  const std::vector<std::string> key_words = {"a", "b", "c", ""};
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto words_of = [&](const std::vector<std::string>& words,
                              size_t max) {
      std::vector<std::string> picked(1 + random() % max);
      for (std::string& word : picked) word = words[random() % words.size()];
      return absl::StrJoin(picked, ".");
    };
    TopicIndex index;
    std::list<Binding> bindings;
    for (int step = 0; step < 60; ++step) {
      if (bindings.empty() || random() % 3 != 0) {
        bindings.push_back({.routing_key = words_of(pattern_words, 5)});
        index.Add(&bindings.back());
      } else {
        auto gone = bindings.begin();
        std::advance(gone, random() % bindings.size());
        index.Remove(&*gone);
        bindings.erase(gone);
      }
      const std::string key = words_of(key_words, 6);
      std::vector<const Binding*> expected;
      for (const Binding& binding : bindings) {
        if (NaiveMatch(binding.routing_key, key)) expected.push_back(&binding);
      }
      std::vector<const Binding*> matches;
      index.Match(key, &matches);
      ASSERT_THAT(matches, ::testing::UnorderedElementsAreArray(expected))
          << "seed " << seed << ", step " << step << ", key " << key;
    }
  }
}

TEST(TopicMatchTest, ManyHashesTakeNoMoreStepsThanWordsAndNodes) {
  // Would be years for a matcher that tries all ways.
  std::string pattern = "#";
  for (int i = 0; i < 60; ++i) pattern += ".a.#";
  pattern += ".b";
  std::string key = "a";
  for (int i = 0; i < 120; ++i) key += ".a";
  EXPECT_FALSE(Matches(pattern, key));
  EXPECT_TRUE(Matches(pattern, key + ".b"));
}

}  // namespace
}  // namespace apium::broker
