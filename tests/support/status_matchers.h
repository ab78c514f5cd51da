// Matchers for absl::Status and absl::StatusOr.
//
//   EXPECT_THAT(engine.Submit(task), IsOk());
//   EXPECT_THAT(Parse("x"), StatusIs(absl::StatusCode::kInvalidArgument,
//   HasSubstr("x"))); EXPECT_THAT(Parse("1"), IsOkAndHolds(1));
//   EXPECT_THAT(status, HasReason("LEASE_LOST"));

#ifndef APIUM_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define APIUM_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error_reason.h"

namespace apium {
namespace status_matchers_internal {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

}  // namespace status_matchers_internal

MATCHER(IsOk, negation ? "is not OK" : "is OK") {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << "which is " << status.ToString();
  return status.ok();
}

MATCHER_P(HasReason, reason, "has the reason " + std::string(reason)) {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << "which is " << status.ToString() << " with reason \""
                   << ReasonOf(status) << "\"";
  return ReasonOf(status) == reason;
}

MATCHER_P2(StatusIsMatcher, code, message_matcher,
           "has the code " + absl::StatusCodeToString(code) +
               " and a message that " +
               ::testing::DescribeMatcher<std::string>(message_matcher)) {
  const absl::Status& status = status_matchers_internal::StatusOf(arg);
  *result_listener << "which is " << status.ToString();
  return status.code() == code &&
         ::testing::Matches(::testing::SafeMatcherCast<const std::string&>(
             message_matcher))(std::string(status.message()));
}

template <typename MessageMatcher>
auto StatusIs(absl::StatusCode code, MessageMatcher message_matcher) {
  return StatusIsMatcher(code, std::move(message_matcher));
}
inline auto StatusIs(absl::StatusCode code) {
  return StatusIs(code, ::testing::_);
}

MATCHER_P(IsOkAndHolds, value_matcher, "is OK and holds a value that matches") {
  if (!arg.ok()) {
    *result_listener << "which is " << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(value_matcher, *arg, result_listener);
}

}  // namespace apium

#define APIUM_EXPECT_OK(expression) EXPECT_THAT(expression, ::apium::IsOk())
#define APIUM_ASSERT_OK(expression) ASSERT_THAT(expression, ::apium::IsOk())

#endif  // APIUM_TESTS_SUPPORT_STATUS_MATCHERS_H_
