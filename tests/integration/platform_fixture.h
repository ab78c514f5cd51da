#ifndef APIUM_TESTS_INTEGRATION_PLATFORM_FIXTURE_H_
#define APIUM_TESTS_INTEGRATION_PLATFORM_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "client/task_control.h"
#include "tests/integration/test_platform.h"

namespace apium {

// Tests on a platform of their own. Its worker serves the queue "default" with
// two slots; a queue that CreateQueue makes has the workers that a test starts.
class PlatformFixture : public ::testing::Test {
 protected:
  PlatformFixture();

  TaskClient& tasks() { return platform_.tasks(); }
  ResultClient& results() { return platform_.results(); }
  TaskControl& control() { return control_; }

  // Each expects success.
  void CreateQueue(const std::string& name, bool dead_letter = false);
  std::string Submit(SubmitOptions options);
  std::vector<std::string> SubmitMany(const std::vector<SubmitOptions>& all);
  v1::TaskCounts CountsOf(const std::string& queue);

  // kill -9, and a new one on its data.
  void KillBroker();

  // Asks until it is so. False: it never was.
  bool Eventually(absl::FunctionRef<bool()> is_so);
  // Returns when the wall clock is past `time`; needs the result service alone.
  void AwaitTime(absl::Time time);
  // Returns when the result service has all that ended before.
  void AwaitPublished();

  TestPlatform platform_;

 private:
  TaskControl control_;
};

absl::Time TimeOf(const google::protobuf::Timestamp& time);

// "SUBMITTED RETRIED#1 ENDED#2" (event#attempt).
std::string HistoryOf(const absl::StatusOr<v1::Task>& task);

}  // namespace apium

#endif  // APIUM_TESTS_INTEGRATION_PLATFORM_FIXTURE_H_
