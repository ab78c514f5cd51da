#include "broker/service/page_token.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "common/error_reason.h"
#include "common/fingerprint.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

constexpr char kVersion = '1';
constexpr size_t kHashBytes = 8;

std::string HashOf(char section, std::string_view inner,
                   std::string_view filter) {
  std::string text(1, section);
  StrAppend(&text, inner.size(), ":", inner, filter);
  const uint64_t hash = StableHash64(text);
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(hash >> shift));
  }
  return bytes;
}

}  // namespace

std::string EncodePageToken(const TaskPageToken& token,
                            std::string_view filter) {
  const char section = static_cast<char>(token.section);
  std::string bytes = {kVersion, section};
  bytes += HashOf(section, token.inner, filter);
  bytes += token.inner;
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<TaskPageToken> DecodePageToken(std::string_view text,
                                              std::string_view filter) {
  const absl::Status wrong = InvalidField(
      "page_token",
      "is not one that this call gave for the same filter; leave it empty for "
      "the first page");
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(AbslView(text), &bytes)) return wrong;
  if (bytes.size() < 2 + kHashBytes || bytes[0] != kVersion) return wrong;
  const char section = bytes[1];
  if (section != static_cast<char>(TaskPageToken::Section::kLive) &&
      section != static_cast<char>(TaskPageToken::Section::kFinished)) {
    return wrong;
  }
  TaskPageToken token;
  token.section = static_cast<TaskPageToken::Section>(section);
  token.inner = bytes.substr(2 + kHashBytes);
  if (bytes.substr(2, kHashBytes) != HashOf(section, token.inner, filter)) {
    return wrong;
  }
  return token;
}

}  // namespace apium::broker
