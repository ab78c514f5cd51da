#include "client/item_error.h"

#include <gtest/gtest.h>

#include "apium/v1/task.pb.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

v1::ItemError Error(int code, std::string reason) {
  v1::ItemError error;
  error.set_code(code);
  error.set_message("queue x was not found");
  error.set_reason(std::move(reason));
  error.set_field("spec.queue");
  return error;
}

TEST(ItemErrorTest, CodeMessageReasonAndFieldAreKept) {
  const absl::Status status = StatusFromItemError(Error(5, "QUEUE_NOT_FOUND"));
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kNotFound, "queue x was not found"));
  EXPECT_THAT(status, HasReason("QUEUE_NOT_FOUND"));
  ASSERT_EQ(FieldViolationsOf(status).size(), 1u);
  EXPECT_EQ(FieldViolationsOf(status)[0].first, "spec.queue");
}

TEST(ItemErrorTest, AnErrorIsNeverOk) {
  EXPECT_EQ(StatusFromItemError(Error(0, "")).code(),
            absl::StatusCode::kUnknown);
  EXPECT_EQ(StatusFromItemError(Error(99, "")).code(),
            absl::StatusCode::kUnknown);
}

TEST(ItemErrorTest, AMalformedReasonIsLeftOut) {
  for (const char* reason : {"lower", "A", "A B", "TRAILING_", "9LIVES"}) {
    EXPECT_THAT(StatusFromItemError(Error(5, reason)), HasReason("")) << reason;
  }
}

}  // namespace
}  // namespace apium
