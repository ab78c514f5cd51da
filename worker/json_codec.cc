#include "worker/json_codec.h"

#include "common/utf8.h"

namespace apium {
namespace {

// Enough to recognise the value; a payload does not belong in a message.
constexpr size_t kShownBytesMax = 40;

}  // namespace

absl::Status JsonMismatch(std::string_view expected,
                          const nlohmann::json& got) {
  std::string shown(got.type_name());
  if (got.is_primitive() && !got.is_null()) {
    StrAppend(&shown, " ",
              ToValidUtf8(got.dump(-1, ' ', /*ensure_ascii=*/true,
                                   nlohmann::json::error_handler_t::replace),
                          kShownBytesMax));
  }
  return absl::InvalidArgumentError(
      StrCat("expected ", expected, ", got ", shown));
}

}  // namespace apium
