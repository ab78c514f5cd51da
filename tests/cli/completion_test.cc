#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/app.h"
#include "tests/support/status_matchers.h"

namespace apium::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

// What `apium completion SHELL` prints.
std::string Script(const std::string& shell) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(
      RunApium({"completion", shell}, {.in = &in, .out = &out, .err = &err}), 0)
      << err.str();
  return out.str();
}

// What a shell command prints; it must succeed.
std::string Shell(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string output;
  std::array<char, 4096> buffer;
  while (const size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return output;
}

class BashCompletionTest : public ::testing::Test {
 protected:
  BashCompletionTest()
      : path_(::testing::TempDir() + "/apium_completion.bash") {
    std::ofstream(path_) << Script("bash");
  }

  // What is offered for the last of `words`.
  std::vector<std::string> Complete(const std::string& words) {
    const std::string output =
        Shell("bash -c 'source " + path_ + "; COMP_WORDS=(apium " + words +
              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _apium; "
              "printf \"%s\\n\" \"${COMPREPLY[@]}\"' 2>&1");
    return absl::StrSplit(output, '\n', absl::SkipEmpty());
  }

  const std::string path_;
};

TEST_F(BashCompletionTest, TheScriptParses) {
  Shell("bash -n " + path_ + " 2>&1");
}

TEST_F(BashCompletionTest, CommandsAreOffered) {
  EXPECT_THAT(Complete("\"\""),
              ElementsAre("task", "queue", "dead-letter", "limit", "exchange",
                          "route", "type", "batch", "worker", "server",
                          "completion", "version"));
  EXPECT_THAT(Complete("task \"\""),
              ElementsAre("submit", "submit-many", "get", "wait", "list",
                          "cancel", "watch", "follow", "update", "run-now",
                          "forget", "count", "explain"));
  EXPECT_THAT(Complete("queue pu"), ElementsAre("purge"));
  EXPECT_THAT(Complete("queue \"\""),
              IsSupersetOf({"peek", "explain", "release"}));
}

TEST_F(BashCompletionTest, OptionsAndTheirValuesDoNotCountAsCommands) {
  EXPECT_THAT(Complete("--address queue task wa"),
              ElementsAre("wait", "watch"));
  EXPECT_THAT(Complete("-q task --namespace=x sub"),
              ElementsAre("submit", "submit-many"));
}

TEST_F(BashCompletionTest, OptionsOfTheCommandAndGlobalOnesAreOffered) {
  EXPECT_THAT(Complete("task submit --"),
              IsSupersetOf({"--queue", "--wait", "--address", "--output"}));
  EXPECT_THAT(Complete("task submit --pay"),
              ElementsAre("--payload", "--payload-file"));
  EXPECT_THAT(Complete("task list --wai"), IsEmpty());
}

TEST_F(BashCompletionTest, ChoicesAreOfferedForTheirOption) {
  EXPECT_THAT(Complete("task list -o \"\""),
              ElementsAre("table", "json", "yaml"));
  EXPECT_THAT(Complete("task list --output j"), ElementsAre("json"));
  EXPECT_THAT(Complete("completion z"), ElementsAre("zsh"));
  EXPECT_THAT(Complete("server check b"), ElementsAre("broker"));
  EXPECT_THAT(Complete("task submit t --ordering-failure \"\""),
              ElementsAre("block", "fail-rest", "skip"));
  EXPECT_THAT(Complete("queue update mail --overflow d"),
              ElementsAre("dead-letter-oldest"));
}

TEST_F(BashCompletionTest, FilesAreOfferedWhereAFileIsMeant) {
  EXPECT_THAT(Complete("task submit x --payload-file " +
                       path_.substr(0, path_.size() - 3)),
              ElementsAre(path_));
}

// zsh and fish may not be installed: what must be there, and that blocks are
// closed.
TEST(ZshCompletionTest, HasEveryCommandAndBalancedBlocks) {
  const std::string script = Script("zsh");
  EXPECT_TRUE(script.starts_with("#compdef apium\n"));
  EXPECT_THAT(script, HasSubstr("\"apium task submit\")"));
  EXPECT_THAT(script, HasSubstr("'submit:Submit a task and print its id'"));
  EXPECT_THAT(script,
              HasSubstr("\"apium task list:-o\"|\"apium task "
                        "list:--output\")\n      compadd -- table json yaml"));
  const std::vector<std::string> lines = absl::StrSplit(script, '\n');
  const auto count = [&](const std::string& word) {
    return std::count_if(
        lines.begin(), lines.end(), [&](const std::string& line) {
          return line == std::string(
                             line.find_first_not_of(' ') == std::string::npos
                                 ? 0
                                 : line.find_first_not_of(' '),
                             ' ') +
                             word ||
                 line.substr(std::min(line.size(), line.find_first_not_of(' ')))
                     .starts_with(word + " ");
        });
  };
  EXPECT_EQ(count("case"), count("esac"));
  EXPECT_EQ(count("for"), count("done"));
  // bash reads the same grammar but for arrays of glob flags, of which there
  // are none here.
  const std::string path = ::testing::TempDir() + "/_apium";
  std::ofstream(path) << script;
  Shell("bash -n " + path + " 2>&1");
}

TEST(FishCompletionTest, HasEveryCommandAndBalancedBlocks) {
  const std::string script = Script("fish");
  EXPECT_THAT(script, HasSubstr("complete -c apium -f\n"));
  EXPECT_THAT(
      script,
      HasSubstr("complete -c apium -n '__apium_path apium task' -a submit -d "
                "'Submit a task and print its id'\n"));
  EXPECT_THAT(script, HasSubstr("-s o -l output -x -a 'table json yaml'"));
  EXPECT_THAT(script, HasSubstr("-l payload-file -l from-file -r -F"));
  int depth = 0;
  for (const absl::string_view line : absl::StrSplit(script, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.empty()) continue;
    if (words[0] == "function" || words[0] == "for" || words[0] == "if" ||
        words[0] == "switch")
      ++depth;
    if (words[0] == "end") --depth;
    EXPECT_GE(depth, 0);
    // Quotes are closed on every line; '\'' is a quote within.
    if (words[0] == "complete") {
      const std::string outside = absl::StrReplaceAll(line, {{"'\\''", ""}});
      EXPECT_EQ(std::count(outside.begin(), outside.end(), '\'') % 2, 0)
          << std::string(line);
    }
  }
  EXPECT_EQ(depth, 0);
}

TEST(CompletionScriptTest, QuotesInDescriptionsAreEscaped) {
  CLI::App app("", "tool");
  app.add_subcommand("run", "Run it; don't ask");
  absl::StatusOr<std::string> script = CompletionScript(app, "fish");
  ASSERT_THAT(script, IsOk());
  EXPECT_THAT(*script, HasSubstr("'Run it; don'\\''t ask'"));
}

TEST(CompletionScriptTest, OtherShellsAreRefused) {
  CLI::App app("", "tool");
  EXPECT_THAT(CompletionScript(app, "csh"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("bash, zsh, fish")));
}

}  // namespace
}  // namespace apium::cli
