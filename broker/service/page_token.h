#ifndef APIUM_BROKER_SERVICE_PAGE_TOKEN_H_
#define APIUM_BROKER_SERVICE_PAGE_TOKEN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace apium::broker {

// Where a list of tasks goes on: live tasks come first, then finished ones, and
// each section has a token of its own.
struct TaskPageToken {
  enum class Section : char { kLive = 'L', kFinished = 'F' };
  Section section = Section::kLive;
  std::string inner;  // empty: the section's start
};

// The opaque form for clients: web-safe text, bound to the filter of the call.
//   token := base64url(version:'1' section:char hash:64 inner)
std::string EncodePageToken(const TaskPageToken& token,
                            std::string_view filter);

// INVALID_ARGUMENT / INVALID_FIELD for anything that EncodePageToken did not
// make for the same filter.
absl::StatusOr<TaskPageToken> DecodePageToken(std::string_view text,
                                              std::string_view filter);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_PAGE_TOKEN_H_
