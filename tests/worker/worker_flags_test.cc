#include "worker/worker_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// The error of parsing `arguments`; empty: none.
std::string Parse(std::vector<std::string> arguments, WorkerFlags* flags) {
  CLI::App app;
  AddWorkerFlags(&app, flags);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return "";
}

std::string ErrorOf(std::vector<std::string> arguments) {
  WorkerFlags flags;
  return Parse(std::move(arguments), &flags);
}

TEST(WorkerFlagsTest, HaveDefaults) {
  WorkerFlags flags;
  EXPECT_EQ(Parse({}, &flags), "");
  EXPECT_THAT(flags.worker.brokers, ElementsAre("127.0.0.1:7450"));
  EXPECT_THAT(flags.worker.queues, ElementsAre("default"));
  EXPECT_EQ(flags.worker.namespace_name, "default");
  EXPECT_EQ(flags.worker.prefetch, 0u);
  EXPECT_EQ(flags.shutdown_grace, absl::Seconds(30));
}

TEST(WorkerFlagsTest, AreTaken) {
  WorkerFlags flags;
  EXPECT_EQ(Parse({"--broker",    "a:1",   "--broker",         "b:2",
                   "--queues",    "q1,q2", "--concurrency",    "4",
                   "--prefetch",  "3",     "--worker-id",      "w",
                   "--namespace", "team",  "--label",          "zone=eu",
                   "--label",     "gpu=",  "--shutdown-grace", "1m"},
                  &flags),
            "");
  EXPECT_THAT(flags.worker.brokers, ElementsAre("a:1", "b:2"));
  EXPECT_THAT(flags.worker.queues, ElementsAre("q1", "q2"));
  EXPECT_EQ(flags.worker.slots, 4u);
  EXPECT_EQ(flags.worker.prefetch, 3u);
  EXPECT_EQ(flags.worker.worker_id, "w");
  EXPECT_EQ(flags.worker.namespace_name, "team");
  EXPECT_EQ(flags.worker.labels.at("zone"), "eu");
  EXPECT_EQ(flags.worker.labels.at("gpu"), "");
  EXPECT_EQ(flags.shutdown_grace, absl::Minutes(1));
}

TEST(WorkerFlagsTest, QueuesMayHaveWeights) {
  WorkerFlags flags;
  EXPECT_EQ(Parse({"--queue", "mail=3", "--queue", "slow,images=1000"}, &flags),
            "");
  EXPECT_THAT(flags.worker.queues, ElementsAre("mail", "slow", "images"));
  EXPECT_THAT(flags.worker.queue_weights,
              ElementsAre(Pair("images", 1000u), Pair("mail", 3u)));
  EXPECT_THAT(ErrorOf({"--queue", "mail=0"}), HasSubstr("1 to 1000"));
  EXPECT_THAT(ErrorOf({"--queue", "mail=1001"}), HasSubstr("1 to 1000"));
  EXPECT_THAT(ErrorOf({"--queue", "mail="}), HasSubstr("1 to 1000"));
  EXPECT_THAT(ErrorOf({"--queue", "=3"}), HasSubstr("--queues"));
}

TEST(WorkerFlagsTest, BadOnesAreNamed) {
  EXPECT_THAT(ErrorOf({"--broker", "nowhere"}), HasSubstr("--broker"));
  EXPECT_THAT(ErrorOf({"--broker", ":7450"}), HasSubstr("host and a port"));
  EXPECT_THAT(ErrorOf({"--queues", "a b"}), HasSubstr("--queues"));
  EXPECT_THAT(ErrorOf({"--concurrency", "many"}), HasSubstr("--concurrency"));
  EXPECT_THAT(ErrorOf({"--concurrency", "100000"}), HasSubstr("50000"));
  EXPECT_THAT(ErrorOf({"--worker-id", "a b"}), HasSubstr("--worker-id"));
  EXPECT_THAT(ErrorOf({"--namespace", "A"}), HasSubstr("--namespace"));
  EXPECT_THAT(ErrorOf({"--label", "zone"}), HasSubstr("name=value"));
  EXPECT_THAT(ErrorOf({"--shutdown-grace", "soon"}), HasSubstr("soon"));
  EXPECT_THAT(ErrorOf({"--wings"}), HasSubstr("--wings"));
}

}  // namespace
}  // namespace apium
