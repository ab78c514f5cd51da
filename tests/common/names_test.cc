#include "common/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(NamesTest, TaskTypesMayHaveDotsAndColons) {
  for (const char* type :
       {"a", "text.count_words", "mail:send-now", "0", "A.B.C"}) {
    EXPECT_THAT(ValidateTaskType("type", type), IsOk()) << type;
  }
  for (const char* type :
       {"", ".a", "-a", "_a", "a b", "a/b", "a\n", "\xc3\xa4", "a\"b"}) {
    EXPECT_THAT(ValidateTaskType("type", type), StatusIs(kInvalid)) << type;
  }
}

TEST(NamesTest, BoundsAreInclusive) {
  EXPECT_THAT(ValidateQueueName("queue", std::string(255, 'q')), IsOk());
  EXPECT_THAT(ValidateQueueName("queue", std::string(256, 'q')),
              StatusIs(kInvalid, HasSubstr("has 256 bytes")));
  EXPECT_THAT(ValidateTaskId("id", std::string(128, 'q')), IsOk());
  EXPECT_THAT(ValidateTaskId("id", std::string(129, 'q')), StatusIs(kInvalid));
  EXPECT_THAT(ValidateNamespace("ns", std::string(63, 'q')), IsOk());
  EXPECT_THAT(ValidateNamespace("ns", std::string(64, 'q')),
              StatusIs(kInvalid));
}

TEST(NamesTest, TaskIdsMayStartWithAnySymbol) {
  for (const char* id :
       {"017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "-x", "a=b@c+d:e.f_g", "=="}) {
    EXPECT_THAT(ValidateTaskId("id", id), IsOk()) << id;
    EXPECT_THAT(ValidateIdempotencyKey("key", id), IsOk()) << id;
  }
  for (const char* id : {"", "a/b", "a b", "a%b"}) {
    EXPECT_THAT(ValidateTaskId("id", id), StatusIs(kInvalid)) << id;
  }
}

TEST(NamesTest, NamespacesAreDnsLabels) {
  EXPECT_THAT(ValidateNamespace("ns", "default"), IsOk());
  EXPECT_THAT(ValidateNamespace("ns", "team-7"), IsOk());
  for (const char* name : {"", "Team", "team_7", "-a", "a-", "a.b"}) {
    EXPECT_THAT(ValidateNamespace("ns", name), StatusIs(kInvalid)) << name;
  }
}

TEST(NamesTest, HeaderNamesAreLowerCase) {
  EXPECT_THAT(ValidateHeaderName("h", "traceparent"), IsOk());
  EXPECT_THAT(ValidateHeaderName("h", "x-tenant.id"), IsOk());
  EXPECT_THAT(ValidateHeaderName("h", "X-Tenant"), StatusIs(kInvalid));
}

TEST(NamesTest, WorkerIdsAndLabels) {
  EXPECT_THAT(ValidateWorkerId("worker_id", "host-7.example@1234"), IsOk());
  EXPECT_THAT(ValidateWorkerId("worker_id", "@host"), StatusIs(kInvalid));
  EXPECT_THAT(ValidateLabelName("labels", "gpu.model"), IsOk());
  EXPECT_THAT(ValidateLabelName("labels", "gpu model"), StatusIs(kInvalid));
}

TEST(NamesTest, TheErrorNamesFieldValueAndRule) {
  const absl::Status status = ValidateNamespace("task.namespace", "Team 7");
  EXPECT_THAT(status, StatusIs(kInvalid,
                               "task.namespace: \"Team 7\" is not a namespace; "
                               "a namespace is 1 to 63 of "
                               "a-z 0-9 -, first and last a letter or digit"));
  EXPECT_THAT(status, HasReason("INVALID_FIELD"));
  EXPECT_THAT(ValidateTaskId("id", ""),
              StatusIs(kInvalid, HasSubstr("it is empty")));
}

TEST(NamesTest, TheErrorIsSafeToPrint) {
  EXPECT_THAT(
      ValidateQueueName("queue", "\x1b[2J"),
      StatusIs(kInvalid, AllOf(HasSubstr("\\x1b[2J"), Not(HasSubstr("\x1b")))));
  EXPECT_EQ(QuoteForMessage(std::string(100, 'a')),
            "\"" + std::string(64, 'a') + "...\"");
}

}  // namespace
}  // namespace apium
