#include "common/resource_limits.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

TEST(ResourceLimitsTest, RaisesOpenFilesToTheHardLimit) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max / 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_THAT(RaiseOpenFilesLimit(), IsOkAndHolds(limit.rlim_max));
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

}  // namespace
}  // namespace apium
