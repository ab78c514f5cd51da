#include "common/server_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

const ServerFlagDefaults kDefaults = {.service = "broker",
                                      .listen = "0.0.0.0:7450",
                                      .http_listen = "0.0.0.0:9450",
                                      .data_dir = "/var/lib/apium"};

// Empty if the arguments were good, else what CLI11 would print.
std::string Parse(std::vector<std::string> arguments, ServerFlags* flags) {
  CLI::App app;
  AddServerFlags(&app, kDefaults, flags);
  std::reverse(arguments.begin(),
               arguments.end());  // CLI11 takes them last first
  try {
    app.parse(arguments);
  } catch (const CLI::Error& error) {
    return error.what();
  }
  return "";
}

class ServerFlagsTest : public ::testing::Test {
 protected:
  void TearDown() override {
    unsetenv("APIUM_BROKER_HTTP_LISTEN");
    unsetenv("APIUM_BROKER_LOG_LEVEL");
  }

  ServerFlags flags_;
};

TEST_F(ServerFlagsTest, HasTheServicesDefaults) {
  EXPECT_EQ(Parse({}, &flags_), "");
  EXPECT_EQ(flags_.listen, "0.0.0.0:7450");
  EXPECT_EQ(flags_.http_listen, "0.0.0.0:9450");
  EXPECT_EQ(flags_.data_dir, "/var/lib/apium");
  EXPECT_EQ(flags_.log_level, LogLevel::kInfo);
  EXPECT_EQ(flags_.log_format, LogFormat::kAuto);
  EXPECT_EQ(flags_.port_file, "");
}

TEST_F(ServerFlagsTest, TakesFlags) {
  EXPECT_EQ(Parse({"--listen=127.0.0.1:0", "--http-listen", "", "--data",
                   "/tmp/x", "--log-level=debug", "--log-format=json",
                   "--port-file=/tmp/ports"},
                  &flags_),
            "");
  EXPECT_EQ(flags_.listen, "127.0.0.1:0");
  EXPECT_EQ(flags_.http_listen, "");
  EXPECT_EQ(flags_.data_dir, "/tmp/x");
  EXPECT_EQ(flags_.log_level, LogLevel::kDebug);
  EXPECT_EQ(flags_.log_format, LogFormat::kJson);
  EXPECT_EQ(flags_.port_file, "/tmp/ports");
}

TEST_F(ServerFlagsTest, RefusesAnEmptyDataFolder) {
  EXPECT_THAT(Parse({"--data", ""}, &flags_),
              HasSubstr("--data: it is empty; name a folder"));
}

TEST_F(ServerFlagsTest, TakesTheEnvironmentUnlessAFlagSaysOtherwise) {
  EXPECT_EQ(FlagEnvironmentName("broker", "http-listen"),
            "APIUM_BROKER_HTTP_LISTEN");
  setenv("APIUM_BROKER_HTTP_LISTEN", "127.0.0.1:1", 1);
  setenv("APIUM_BROKER_LOG_LEVEL", "error", 1);
  EXPECT_EQ(Parse({"--log-level=warn"}, &flags_), "");
  EXPECT_EQ(flags_.http_listen, "127.0.0.1:1");
  EXPECT_EQ(flags_.log_level, LogLevel::kWarning);
}

TEST_F(ServerFlagsTest, NamesTheBadFlagAndTheChoices) {
  EXPECT_THAT(Parse({"--listen=nowhere"}, &flags_), HasSubstr("--listen"));
  EXPECT_THAT(Parse({"--log-level=loud"}, &flags_),
              HasSubstr("debug, info, warn or error"));
  EXPECT_THAT(Parse({"--log-format=xml"}, &flags_),
              HasSubstr("auto, text or json"));
  EXPECT_THAT(Parse({"--no-such-flag"}, &flags_), HasSubstr("--no-such-flag"));
}

TEST_F(ServerFlagsTest, RefusesBadValuesOfTheEnvironment) {
  setenv("APIUM_BROKER_LOG_LEVEL", "loud", 1);
  EXPECT_THAT(Parse({}, &flags_), HasSubstr("loud"));
}

TEST_F(ServerFlagsTest, PrintsItsVersion) {
  EXPECT_THAT(Parse({"--version"}, &flags_), HasSubstr("apium-broker 0.1.0"));
}

TEST(DurationFlagTest, TakesDurationsInItsRange) {
  const auto parse = [](const std::string& argument,
                        absl::Duration* value) -> std::string {
    CLI::App app;
    AddDurationFlag(&app, "ttl", value, absl::Seconds(1), absl::Hours(1),
                    "how long");
    try {
      app.parse(std::vector<std::string>{argument});
    } catch (const CLI::Error& error) {
      return error.what();
    }
    return "";
  };
  absl::Duration ttl = absl::Minutes(1);
  EXPECT_EQ(parse("--ttl=1m30s", &ttl), "");
  EXPECT_EQ(ttl, absl::Seconds(90));
  EXPECT_THAT(parse("--ttl=2h", &ttl), HasSubstr("from 1s to 1h"));
  EXPECT_THAT(parse("--ttl=90", &ttl), HasSubstr("is not a duration"));
  EXPECT_EQ(ttl, absl::Seconds(90));
}

}  // namespace
}  // namespace apium
