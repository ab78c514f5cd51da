#include "common/rpc/callback_queue_keepalive.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "absl/time/time.h"

namespace apium {
namespace {

// That it works is a matter of time, which
// benchmarks/callback_idle_benchmark.cc measures.

TEST(CallbackQueueKeepaliveTest, StopsAtOnceAlthoughItsPeriodIsLong) {
  auto keepalive =
      std::make_unique<CallbackQueueKeepalive>(absl::InfiniteDuration());
  keepalive.reset();
}

TEST(CallbackQueueKeepaliveTest, SeveralInOneProcessDoNoHarm) {
  std::vector<std::unique_ptr<CallbackQueueKeepalive>> keepalives;
  for (int i = 0; i < 8; ++i) {
    keepalives.push_back(
        std::make_unique<CallbackQueueKeepalive>(absl::Microseconds(1)));
  }
}

}  // namespace
}  // namespace apium
