#include "common/shutdown.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "absl/time/time.h"

namespace apium {
namespace {

TEST(ShutdownTest, ATermSignalIsARequest) {
  ShutdownSignal shutdown;
  EXPECT_FALSE(shutdown.requested());
  EXPECT_FALSE(shutdown.WaitFor(absl::ZeroDuration()));
  kill(getpid(), SIGTERM);
  shutdown.Wait();
  EXPECT_TRUE(shutdown.requested());
  EXPECT_EQ(shutdown.reason(), "SIGTERM");
}

TEST(ShutdownTest, AnInterruptIsARequest) {
  ShutdownSignal shutdown;
  kill(getpid(), SIGINT);
  shutdown.Wait();
  EXPECT_EQ(shutdown.reason(), "SIGINT");
}

TEST(ShutdownTest, TheProcessMayAskItself) {
  ShutdownSignal shutdown;
  std::thread other([&] { shutdown.Request("the store failed"); });
  shutdown.Wait();
  other.join();
  shutdown.Request("too late");
  EXPECT_EQ(shutdown.reason(), "the store failed");
}

TEST(ShutdownDeathTest, ASecondSignalEndsTheProcessAtOnce) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ShutdownSignal shutdown;
        kill(getpid(), SIGTERM);
        shutdown.Wait();
        kill(getpid(), SIGINT);
        while (true) pause();
      },
      ::testing::ExitedWithCode(128 + SIGINT), "");
}

}  // namespace
}  // namespace apium
