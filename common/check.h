// Invariants of our own code. The environment misbehaving is an absl::Status;
// our own code being wrong is an APIUM_CHECK, which prints file, line and
// message to stderr and aborts: a crash recovers from disk, a wrong decision
// does not.
//
//   APIUM_CHECK(lease.epoch > 0) << "task " << lease.task_id;
//   APIUM_CHECK_OK(store.Open());

#ifndef APIUM_COMMON_CHECK_H_
#define APIUM_COMMON_CHECK_H_

#include <ostream>
#include <sstream>

#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace apium::check_internal {

// Collects the message; the destructor writes it and aborts.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  [[noreturn]] ~Failure();

  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

// Gives the failing branch of the macro's ?: the type void; & binds weaker than
// << and stronger than ?:.
struct Voidify {
  void operator&(std::ostream&) const {}
};

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

}  // namespace apium::check_internal

#define APIUM_CHECK(condition)                                             \
  ABSL_PREDICT_TRUE(condition)                                             \
  ? static_cast<void>(0)                                                   \
  : ::apium::check_internal::Voidify() &                                   \
          ::apium::check_internal::Failure(__FILE__, __LINE__, #condition) \
              .stream()

// `expression` gives an absl::Status or absl::StatusOr; it is evaluated once.
#define APIUM_CHECK_OK(expression)                            \
  do {                                                        \
    auto&& apium_check_value = (expression);                  \
    const ::absl::Status& apium_check_status =                \
        ::apium::check_internal::StatusOf(apium_check_value); \
    APIUM_CHECK(apium_check_status.ok())                      \
        << #expression << " is " << apium_check_status;       \
  } while (false)

#endif  // APIUM_COMMON_CHECK_H_
