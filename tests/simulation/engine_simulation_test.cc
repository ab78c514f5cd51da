// Random histories of the engine against a reference model. A failure prints
// its seed; to run that history alone, with everything that happened in it:
//
//   bazel run //tests/simulation:engine_simulation_test -- --seed=N
//
// or with APIUM_SEED=N in the environment.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {
namespace {

constexpr int kParts = 24;
constexpr int kHistoriesPerPart = 500;

std::optional<uint64_t> chosen_seed;

void RunHistory(uint64_t seed, bool keep_log) {
  EngineHistory history(seed, {.keep_log = keep_log});
  const std::string violations = history.Run();
  if (keep_log) std::cout << history.log();
  ASSERT_EQ(violations, "") << "replay it with --seed=" << seed;
}

class EngineSimulationTest : public testing::TestWithParam<int> {};

TEST_P(EngineSimulationTest, RandomHistoriesObeyTheModel) {
  for (int i = 0; i < kHistoriesPerPart; ++i) {
    const uint64_t seed =
        static_cast<uint64_t>(GetParam()) * kHistoriesPerPart + i + 1;
    ASSERT_NO_FATAL_FAILURE(RunHistory(seed, /*keep_log=*/false));
  }
}

INSTANTIATE_TEST_SUITE_P(Part, EngineSimulationTest, testing::Range(0, kParts));

TEST(EngineSimulationReplayTest, TheChosenHistoryObeysTheModel) {
  if (!chosen_seed.has_value()) GTEST_SKIP() << "no --seed";
  RunHistory(*chosen_seed, /*keep_log=*/true);
}

TEST(EngineSimulationSelfTest, TheSameSeedGivesTheSameEffects) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    EngineHistory first(seed, {});
    EngineHistory second(seed, {});
    ASSERT_EQ(first.Run(), second.Run()) << "seed " << seed;
    ASSERT_EQ(first.effects_hash(), second.effects_hash()) << "seed " << seed;
  }
}

TEST(EngineSimulationSelfTest, HistoriesAreEventful) {
  EngineHistory::Counts total;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {});
    history.Run();
    total.tasks += history.counts().tasks;
    total.deliveries += history.counts().deliveries;
    total.outcomes += history.counts().outcomes;
    total.crashes += history.counts().crashes;
    total.restarts += history.counts().restarts;
    total.lost_turns += history.counts().lost_turns;
    total.refusals += history.counts().refusals;
    total.callbacks += history.counts().callbacks;
    total.redelivered_after_crash += history.counts().redelivered_after_crash;
    total.unpublished += history.counts().unpublished;
    for (const auto& [type, count] : history.counts().failures) {
      total.failures[type] += count;
    }
  }
  EXPECT_GT(total.tasks, 200 * 8u);
  EXPECT_GT(total.deliveries, 200 * 8u);
  EXPECT_GE(total.outcomes, 200 * 8u);
  EXPECT_GT(total.crashes, 50u);
  EXPECT_GT(total.restarts, 20u);
  EXPECT_GT(total.lost_turns, 50u);
  EXPECT_GT(total.refusals, 100u);
  EXPECT_GT(total.callbacks, 100u);
  EXPECT_GT(total.redelivered_after_crash, 100u);
  EXPECT_GT(total.unpublished, 100u);
  for (const char* type : {"apium.WorkerLost", "apium.TooManyReturns",
                           "apium.TotalTimeLimit", "apium.AtMostOnce"}) {
    EXPECT_GT(total.failures[type], 10u) << type;
  }
}

TEST(EngineSimulationSelfTest, HistoriesMeetDeadLettersBreakersAndKeys) {
  ReferenceModel::Counts total;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {});
    history.Run();
    const ReferenceModel::Counts& counts = history.model_counts();
    total.limited += counts.limited;
    total.points_taken += counts.points_taken;
    total.charges += counts.charges;
    total.throttled += counts.throttled;
    total.letters += counts.letters;
    total.edited += counts.edited;
    total.redriven += counts.redriven;
    total.refused += counts.refused;
    total.letters_purged += counts.letters_purged;
    total.resumed += counts.resumed;
    total.opened += counts.opened;
    total.trials_succeeded += counts.trials_succeeded;
    total.trials_failed += counts.trials_failed;
    total.requests_repeated += counts.requests_repeated;
    total.keys_twice += counts.keys_twice;
    total.attached += counts.attached;
  }
  EXPECT_GT(total.limited, 100u);
  EXPECT_GT(total.points_taken, 100u);
  EXPECT_GT(total.charges, 0u);
  EXPECT_GT(total.letters, 500u);
  EXPECT_GT(total.edited, 50u);
  EXPECT_GT(total.redriven, 100u);
  EXPECT_GT(total.refused, 10u);
  EXPECT_GT(total.letters_purged, 100u);
  EXPECT_GT(total.opened, 50u);
  EXPECT_GT(total.trials_succeeded, 20u);
  EXPECT_GT(total.trials_failed, 10u);
  EXPECT_GT(total.requests_repeated, 10u);
  EXPECT_GT(total.keys_twice, 8u);
  EXPECT_GT(total.attached, 4u);
}

TEST(EngineSimulationSelfTest, HistoriesMeetOrdersAndFullQueues) {
  ReferenceModel::Counts total;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {});
    history.Run();
    const ReferenceModel::Counts& counts = history.model_counts();
    total.waited_in_line += counts.waited_in_line;
    total.keys_blocked += counts.keys_blocked;
    total.keys_released += counts.keys_released;
    total.rest_failed += counts.rest_failed;
    total.queue_full += counts.queue_full;
  }
  EXPECT_GT(total.waited_in_line, 500u);
  EXPECT_GT(total.keys_blocked, 20u);
  EXPECT_GT(total.keys_released, 20u);
  EXPECT_GT(total.rest_failed, 20u);
  EXPECT_GT(total.queue_full, 50u);
}

TEST(EngineSimulationSelfTest, HistoriesMeetExchangesAndCopies) {
  ReferenceModel::Counts total;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {});
    history.Run();
    const ReferenceModel::Counts& counts = history.model_counts();
    total.routed += counts.routed;
    total.copied += counts.copied;
    total.unroutable += counts.unroutable;
  }
  EXPECT_GT(total.routed, 100u);
  EXPECT_GT(total.unroutable, 20u);
}

// The checker bites: a disk that forgets what it acknowledged is found out.
TEST(EngineSimulationSelfTest, ALyingDiskIsCaught) {
  int lied = 0;
  int caught = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {.disk_lies = true});
    const bool violated = !history.Run().empty();
    if (history.counts().lies == 0) continue;
    ++lied;
    caught += violated;
  }
  EXPECT_GT(lied, 50);
  EXPECT_EQ(caught, lied);
}

// And so is an engine that carries out reports with a forged epoch.
TEST(EngineSimulationSelfTest, AnEngineThatBelievesLiarsIsCaught) {
  int lied = 0;
  int caught = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EngineHistory history(seed, {.epochs_are_not_checked = true});
    const bool violated = !history.Run().empty();
    if (history.counts().lies == 0) continue;
    ++lied;
    caught += violated;
  }
  EXPECT_GT(lied, 20);
  EXPECT_EQ(caught, lied);
}

}  // namespace

void ChooseSeed(const std::string& text) {
  uint64_t seed = 0;
  if (!absl::SimpleAtoi(text, &seed)) {
    std::cerr << "not a seed: " << text << "\n";
    std::exit(2);
  }
  chosen_seed = seed;
  testing::GTEST_FLAG(filter) = "EngineSimulationReplayTest.*";
}

}  // namespace apium::broker

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const char* from_environment = std::getenv("APIUM_SEED");
  if (from_environment != nullptr) apium::broker::ChooseSeed(from_environment);
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--seed=")) {
      apium::broker::ChooseSeed(std::string(argument));
    }
  }
  return RUN_ALL_TESTS();
}
