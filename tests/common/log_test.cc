#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow =
    absl::FromUnixSeconds(1'700'000'000) + absl::Nanoseconds(123);

TEST(LogTest, JsonLineHasTheFixedKeysFirst) {
  EXPECT_EQ(
      FormatJsonLogLine(kNow, LogLevel::kWarning, "apium-broker", "slow sync",
                        {{"queue", "emails"},
                         {"took", absl::Milliseconds(1500)},
                         {"count", 3},
                         {"ok", true}}),
      R"({"ts":"2023-11-14T22:13:20.000000123Z","level":"warn","msg":"slow sync","service":"apium-broker",)"
      R"("version":"0.1.0","queue":"emails","took":"1.5s","count":3,"ok":true})");
}

TEST(LogTest, JsonLineIsOneValidLineWhateverTheValues) {
  const std::string hostile = "line\nbreak \"quote\" \x1b[2J \xff\xfe";
  const std::string line = FormatJsonLogLine(kNow, LogLevel::kInfo, "s",
                                             hostile, {{"value", hostile}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(LogTest, WritesTextWithQuotedValues) {
  InitLogging({.service = "test", .format = LogFormat::kText});
  ::testing::internal::CaptureStderr();
  LogInfo("queue created",
          {{"queue", "emails"}, {"note", "two words"}, {"depth", uint64_t{7}}});
  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      HasSubstr("I queue created queue=emails note=\"two words\" depth=7\n"));
}

TEST(LogTest, WritesJsonLines) {
  InitLogging({.service = "test", .format = LogFormat::kJson});
  ::testing::internal::CaptureStderr();
  absl::Status status = absl::DataLossError("torn page");
  status.SetPayload("for.programs", absl::Cord("\x01\x02"));
  LogError("store failed", {{"error", status}});
  const std::string line = ::testing::internal::GetCapturedStderr();
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["level"], "error");
  EXPECT_EQ(parsed["error"], "DATA_LOSS: torn page");
}

TEST(LogTest, LeavesOutWhatIsBelowTheLevel) {
  InitLogging({.service = "test",
               .level = LogLevel::kWarning,
               .format = LogFormat::kText});
  ::testing::internal::CaptureStderr();
  LogInfo("quiet");
  LogWarning("loud");
  SetLogLevel(LogLevel::kDebug);
  LogDebug("whisper");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, Not(HasSubstr("quiet")));
  EXPECT_THAT(text, HasSubstr("loud"));
  EXPECT_THAT(text, HasSubstr("whisper"));
}

TEST(LogTest, ParsesLevelsAndFormats) {
  EXPECT_THAT(ParseLogLevel("warn"), IsOkAndHolds(LogLevel::kWarning));
  EXPECT_THAT(ParseLogLevel("loud"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("debug, info, warn or error")));
  EXPECT_THAT(ParseLogFormat("json"), IsOkAndHolds(LogFormat::kJson));
  EXPECT_THAT(ParseLogFormat("xml"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LogEveryTest, AdmitsOnePerPeriodAndCountsTheRest) {
  LogEvery every(absl::Seconds(10));
  EXPECT_EQ(every.AdmitAt(absl::Seconds(5)), 0u);
  EXPECT_EQ(every.AdmitAt(absl::Seconds(6)), std::nullopt);
  EXPECT_EQ(every.AdmitAt(absl::Seconds(14)), std::nullopt);
  EXPECT_EQ(every.AdmitAt(absl::Seconds(15)), 2u);
  EXPECT_EQ(every.AdmitAt(absl::Seconds(100)), 0u);
}

TEST(LogEveryTest, ThreadsShareOneAllowance) {
  LogEvery every(absl::Seconds(10));
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j)
        admitted += every.AdmitAt(absl::Seconds(5)).has_value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 1);
  EXPECT_EQ(every.AdmitAt(absl::Seconds(15)), 3999u);
}

}  // namespace
}  // namespace apium
