#include "cli/output.h"

#include <gtest/gtest.h>

#include <sstream>

#include "apium/v1/task.pb.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium::cli {
namespace {

v1::TaskOutcome Outcome() {
  v1::TaskOutcome outcome;
  outcome.set_task_id("a-1");
  outcome.set_state(v1::TASK_STATE_SUCCEEDED);
  outcome.mutable_result()->set_data("42");
  outcome.set_epoch(12345678901234567890u);
  outcome.mutable_finish_time()->set_seconds(1'700'000'000);
  return outcome;
}

TEST(OutputTest, JsonIsTheCanonicalMapping) {
  EXPECT_EQ(ToJson(Outcome()),
            "{\n"
            "  \"taskId\": \"a-1\",\n"
            "  \"state\": \"TASK_STATE_SUCCEEDED\",\n"
            "  \"result\": {\n"
            "    \"data\": \"NDI=\"\n"
            "  },\n"
            "  \"epoch\": \"12345678901234567890\",\n"
            "  \"finishTime\": \"2023-11-14T22:13:20Z\"\n"
            "}\n");
}

TEST(OutputTest, AJsonLineIsOneLine) {
  v1::TaskOutcome outcome;
  outcome.set_task_id("a\nb");
  EXPECT_EQ(ToJsonLine(outcome), "{\"taskId\":\"a\\nb\"}\n");
}

TEST(OutputTest, YamlHasTheSameDataWithTextQuoted) {
  EXPECT_EQ(ToYaml(Outcome()),
            "taskId: \"a-1\"\n"
            "state: \"TASK_STATE_SUCCEEDED\"\n"
            "result:\n"
            "  data: \"NDI=\"\n"
            "epoch: \"12345678901234567890\"\n"
            "finishTime: \"2023-11-14T22:13:20Z\"\n");
}

TEST(OutputTest, YamlOfListsAndNumbers) {
  v1::RetryPolicy policy;
  policy.set_max_attempts(3);
  policy.set_multiplier(1.5);
  policy.add_non_retryable_types("true");
  policy.add_non_retryable_types("12");
  EXPECT_EQ(ToYaml(policy),
            "maxAttempts: 3\n"
            "multiplier: 1.5\n"
            "nonRetryableTypes:\n"
            "  - \"true\"\n"
            "  - \"12\"\n");
}

class OutputErrorTest : public ::testing::Test {
 protected:
  std::string ErrorAs(Format format, const absl::Status& status) {
    std::ostringstream out;
    std::ostringstream err;
    Output(format, false, false, &out, &err).PrintError(status);
    EXPECT_EQ(out.str(), "");
    return err.str();
  }
};

TEST_F(OutputErrorTest, AsTextItHasMessageCodeAndReason) {
  EXPECT_EQ(
      ErrorAs(Format::kTable, WithReason(absl::NotFoundError("no task\x1b[2J"),
                                         "TASK_NOT_FOUND")),
      "apium: no task\\x1b[2J (NOT_FOUND, TASK_NOT_FOUND)\n");
  EXPECT_EQ(ErrorAs(Format::kTable, absl::InternalError("bad")),
            "apium: bad (INTERNAL)\n");
}

TEST_F(OutputErrorTest, AsJsonItHasAllThatTheServerSaid) {
  EXPECT_EQ(
      ErrorAs(Format::kJson, InvalidField("spec.priority", "300 is above 255")),
      "{\n"
      "  \"error\": {\n"
      "    \"code\": \"INVALID_ARGUMENT\",\n"
      "    \"message\": \"spec.priority: 300 is above 255\",\n"
      "    \"reason\": \"INVALID_FIELD\",\n"
      "    \"metadata\": {\n"
      "      \"field\": \"spec.priority\"\n"
      "    },\n"
      "    \"fieldViolations\": [\n"
      "      {\n"
      "        \"field\": \"spec.priority\",\n"
      "        \"description\": \"300 is above 255\"\n"
      "      }\n"
      "    ]\n"
      "  }\n"
      "}\n");
}

TEST(OutputTest, QuietHasNoRemarks) {
  std::ostringstream out;
  std::ostringstream err;
  Output(Format::kTable, false, /*quiet=*/true, &out, &err).Note("by the way");
  EXPECT_EQ(err.str(), "");
  Output(Format::kTable, false, /*quiet=*/false, &out, &err).Note("by the way");
  EXPECT_EQ(err.str(), "by the way\n");
}

TEST(OutputTest, FormatsHaveNames) {
  EXPECT_THAT(ParseFormat("table"), IsOkAndHolds(Format::kTable));
  EXPECT_THAT(ParseFormat("json"), IsOkAndHolds(Format::kJson));
  EXPECT_THAT(ParseFormat("yaml"), IsOkAndHolds(Format::kYaml));
  EXPECT_THAT(ParseFormat("xml"), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apium::cli
