// Nothing acknowledged is lost: the real binaries, killed with kill -9 at
// random moments. See README.md for how to run it longer, or again.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/numbers.h"
#include "common/strings.h"
#include "tests/crash/crash_run.h"
#include "tests/crash/history_checker.h"

namespace apium::crash {
namespace {

constexpr uint64_t kKillsDefault = 120;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  uint64_t value = 0;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value))
      << name << " is \"" << text << "\", which is no number";
  return value;
}

// Kept by Bazel with the test's log.
std::string OutputFolder() {
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  return folder == nullptr ? ::testing::TempDir() : folder;
}

TEST(CrashTest, NothingAcknowledgedIsLost) {
  CrashRunOptions run;
  run.kills = FromEnvironment("APIUM_CRASH_KILLS", kKillsDefault);
  run.seed = FromEnvironment("APIUM_CRASH_SEED", std::random_device{}());
  run.platform.folder = StrCat(OutputFolder(), "/crash");
  std::cout << run.kills << " kills, APIUM_CRASH_SEED=" << run.seed
            << std::endl;

  const Moment begin = MonotonicNow();
  const History history = RunAndCrash(run);
  const Moment end = MonotonicNow();
  CheckerOptions checker;
  // A fraction of what runs with random seeds have shown.
  checker.required = {.accepted = run.kills * 10,
                      .redeliveries = run.kills / 5,
                      .resumed = run.kills / 5,
                      .kill_rounds = run.kills,
                      .rounds_of_all = run.kills / 40,
                      .kills_of_each_kind = run.kills / 15};
  const Verdict verdict = Check(checker, history);
  std::cout << Describe(verdict) << "checked after "
            << absl::FormatDuration(end - begin) << std::endl;
  EXPECT_TRUE(verdict.violations.empty()) << Describe(verdict);
}

}  // namespace
}  // namespace apium::crash
