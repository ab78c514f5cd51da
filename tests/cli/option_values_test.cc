#include "cli/option_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

namespace apium::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// The error of parsing `arguments`, or empty.
std::string Parse(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

TEST(OptionValuesTest, DurationsAreWrittenAsPeopleDo) {
  for (const auto& [text, value] :
       std::vector<std::pair<std::string, absl::Duration>>{
           {"500ms", absl::Milliseconds(500)},
           {"10s", absl::Seconds(10)},
           {"1h30m", absl::Minutes(90)},
           {"0", {}}}) {
    CLI::App app;
    std::optional<absl::Duration> duration;
    AddDuration(&app, "--delay", &duration, "");
    EXPECT_EQ(Parse(app, {"--delay", text}), "");
    EXPECT_EQ(duration, value) << text;
  }
}

TEST(OptionValuesTest, WhatIsNoDurationIsNamedWithExamples) {
  for (const std::string text : {"10", "soon", "-5s", ""}) {
    CLI::App app;
    std::optional<absl::Duration> duration;
    AddDuration(&app, "--delay", &duration, "");
    EXPECT_THAT(Parse(app, {"--delay=" + text, "x"}), HasSubstr("--delay"))
        << text;
    EXPECT_EQ(duration, std::nullopt);
  }
  CLI::App app;
  std::optional<absl::Duration> duration;
  AddDuration(&app, "--delay", &duration, "");
  EXPECT_EQ(Parse(app, {"--delay", "10"}),
            "--delay: \"10\" is not a duration such as 500ms, 10s or 1h30m");
}

TEST(OptionValuesTest, TimesAreRfc3339) {
  CLI::App app;
  std::optional<absl::Time> time;
  AddTime(&app, "--eta", &time, "");
  EXPECT_EQ(Parse(app, {"--eta", "2026-01-31T18:00:00+01:00"}), "");
  EXPECT_EQ(time, absl::FromUnixSeconds(1769878800));
  EXPECT_THAT(Parse(app, {"--eta", "tomorrow"}),
              HasSubstr("2026-01-31T18:00:00Z"));
}

TEST(OptionValuesTest, PairsMayBeRepeatedAndTakeNoMoreThanTheirWord) {
  CLI::App app;
  std::map<std::string, std::string> pairs;
  std::string positional;
  AddPairs(&app, "--kwarg", &pairs, "");
  app.add_option("type", positional);
  EXPECT_EQ(
      Parse(app, {"--kwarg", "a=1", "word", "--kwarg", "b=x=y", "--kwarg=c="}),
      "");
  EXPECT_THAT(pairs,
              ElementsAre(Pair("a", "1"), Pair("b", "x=y"), Pair("c", "")));
  EXPECT_EQ(positional, "word");
}

TEST(OptionValuesTest, APairNeedsANameAndAnEqualsSign) {
  for (const char* text : {"=1", "a"}) {
    CLI::App app;
    std::map<std::string, std::string> pairs;
    AddPairs(&app, "--kwarg", &pairs, "");
    EXPECT_THAT(Parse(app, {"--kwarg", text}), HasSubstr("NAME=VALUE"));
  }
}

}  // namespace
}  // namespace apium::cli
