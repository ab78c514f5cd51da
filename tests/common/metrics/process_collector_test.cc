#include "common/metrics/process_collector.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace apium {
namespace {

// The value of the metric, or NaN if there is none of that name.
double Value(const std::string& name) {
  for (const prometheus::MetricFamily& family : ProcessCollector().Collect()) {
    if (family.name != name) continue;
    const prometheus::ClientMetric& metric = family.metric.at(0);
    return family.type == prometheus::MetricType::Counter ? metric.counter.value
                                                          : metric.gauge.value;
  }
  return std::nan("");
}

TEST(ProcessCollectorTest, TellsWhatTheKernelTells) {
  EXPECT_EQ(Value("apium_build_info"), 1);
  EXPECT_GE(Value("process_cpu_seconds_total"), 0);
  EXPECT_GT(Value("process_resident_memory_bytes"), 1e6);
  EXPECT_GE(Value("process_virtual_memory_bytes"),
            Value("process_resident_memory_bytes"));
  EXPECT_GE(Value("process_threads"), 1);
  EXPECT_GT(Value("process_max_fds"), 0);
}

TEST(ProcessCollectorTest, CountsOpenDescriptors) {
  const double before = Value("process_open_fds");
  const int fd = open("/dev/null", O_RDONLY);
  EXPECT_EQ(Value("process_open_fds"), before + 1);
  close(fd);
  EXPECT_EQ(Value("process_open_fds"), before);
}

TEST(ProcessCollectorTest, StartedInThePast) {
  const double start = Value("process_start_time_seconds");
  EXPECT_GT(start, 1.6e9);
  EXPECT_LE(start, absl::ToUnixSeconds(absl::Now()) + 2);
}

}  // namespace
}  // namespace apium
