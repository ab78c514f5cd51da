// Early return of errors.
//
//   APIUM_RETURN_IF_ERROR(ValidateQueueName("queue", request.queue()));
//   APIUM_ASSIGN_OR_RETURN(absl::Time eta, TimeFromProto("eta",
//   request.eta()));

#ifndef APIUM_COMMON_STATUS_MACROS_H_
#define APIUM_COMMON_STATUS_MACROS_H_

#include <utility>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define APIUM_MACRO_CONCAT_INNER(a, b) a##b
#define APIUM_MACRO_CONCAT(a, b) APIUM_MACRO_CONCAT_INNER(a, b)

// Returns the absl::Status that `expression` gives from this function, unless
// it is OK.
#define APIUM_RETURN_IF_ERROR(expression)         \
  do {                                            \
    ::absl::Status apium_status = (expression);   \
    if (ABSL_PREDICT_FALSE(!apium_status.ok())) { \
      return apium_status;                        \
    }                                             \
  } while (false)

// Assigns the value of the absl::StatusOr that the second argument gives to
// `lhs` (an lvalue or a declaration), or returns its status. More than one
// statement: not usable as the body of an `if` without braces.
#define APIUM_ASSIGN_OR_RETURN(lhs, ...)                                       \
  APIUM_ASSIGN_OR_RETURN_INNER(APIUM_MACRO_CONCAT(apium_status_or_, __LINE__), \
                               lhs, (__VA_ARGS__))

#define APIUM_ASSIGN_OR_RETURN_INNER(status_or, lhs, expression) \
  auto status_or = expression;                                   \
  if (ABSL_PREDICT_FALSE(!status_or.ok())) {                     \
    return std::move(status_or).status();                        \
  }                                                              \
  lhs = *std::move(status_or)

#endif  // APIUM_COMMON_STATUS_MACROS_H_
