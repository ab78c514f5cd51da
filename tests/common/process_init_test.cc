#include "common/process_init.h"

#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>

namespace apium {
namespace {

class ProcessInitTest : public ::testing::Test {
 protected:
  ProcessInitTest() {
    InitProcess({.service = "apium-test", .format = LogFormat::kJson});
  }
};

TEST_F(ProcessInitTest, AWriteToAClosedPipeIsAnErrorAndNotADeath) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

TEST_F(ProcessInitTest, OpenFilesAreLimitedByTheHardLimitOnly) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST_F(ProcessInitTest, GrpcSpeaksThroughOurLog) {
  gpr_log_verbosity_init();  // grpc_init does it in a server
  ::testing::internal::CaptureStderr();
  gpr_log("tcp.cc", 7, GPR_LOG_SEVERITY_ERROR, "%s", "connection reset");
  const nlohmann::json line =
      nlohmann::json::parse(::testing::internal::GetCapturedStderr());
  EXPECT_EQ(line["msg"], "connection reset");
  EXPECT_EQ(line["logger"], "grpc");
  EXPECT_EQ(line["level"], "error");
}

}  // namespace
}  // namespace apium
