#include "client/item_error.h"

#include <string_view>
#include <utility>

#include "apium/v1/task.pb.h"
#include "common/error_reason.h"

namespace apium {
namespace {

// A reason from the wire may be anything; WithReason takes only well-formed
// ones.
bool IsReason(std::string_view text) {
  if (text.size() < 2 || text.size() > 63) return false;
  if (text.front() < 'A' || text.front() > 'Z' || text.back() == '_')
    return false;
  return text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
         std::string_view::npos;
}

}  // namespace

absl::Status StatusFromItemError(const v1::ItemError& error) {
  const bool known = error.code() >= 1 && error.code() <= 16;
  absl::Status status(known ? static_cast<absl::StatusCode>(error.code())
                            : absl::StatusCode::kUnknown,
                      error.message());
  if (IsReason(error.reason()))
    status = WithReason(std::move(status), error.reason());
  if (!error.field().empty())
    status =
        WithFieldViolation(std::move(status), error.field(), error.message());
  return status;
}

}  // namespace apium
