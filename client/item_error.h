#ifndef APIUM_CLIENT_ITEM_ERROR_H_
#define APIUM_CLIENT_ITEM_ERROR_H_

#include "absl/status/status.h"

namespace apium {

namespace v1 {
class ItemError;
}

// The error of one item of a batch as a status, with its reason and its field
// (common/error_reason.h). Never OK: a code that is none becomes UNKNOWN. Any
// thread.
absl::Status StatusFromItemError(const v1::ItemError& error);

}  // namespace apium

#endif  // APIUM_CLIENT_ITEM_ERROR_H_
