#include "common/utf8.h"

#include <algorithm>

namespace apium {
namespace {

// Length of the well-formed character at the start of `text` (not empty), or 0.
// RFC 3629, table of section 4.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const auto continuation = [&](size_t i, unsigned char low,
                                unsigned char high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char first = byte(0);
  if (first <= 0x7F) return 1;
  if (first >= 0xC2 && first <= 0xDF) {
    return continuation(1, 0x80, 0xBF) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned char low = first == 0xE0 ? 0xA0 : 0x80;  // no overlong forms
    const unsigned char high = first == 0xED ? 0x9F : 0xBF;  // no surrogates
    return continuation(1, low, high) && continuation(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned char low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xF4 ? 0x8F : 0xBF;  // up to U+10FFFF
    return continuation(1, low, high) && continuation(2, 0x80, 0xBF) &&
                   continuation(3, 0x80, 0xBF)
               ? 4
               : 0;
  }
  return 0;
}

}  // namespace

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string ToValidUtf8(std::string_view text, size_t bytes_max) {
  constexpr std::string_view kCut = "...";
  std::string result;
  result.reserve(std::min(text.size(), bytes_max));
  // Where to cut if the text turns out too long: the last boundary that leaves
  // room for the dots.
  size_t cut_at = 0;
  while (!text.empty()) {
    const size_t length = std::max<size_t>(CharacterLength(text), 1);
    if (result.size() + length > bytes_max) {
      result.resize(cut_at);
      result.append(kCut.substr(0, bytes_max - cut_at));
      return result;
    }
    if (CharacterLength(text) == 0) {
      result.push_back('?');
    } else {
      result.append(text.substr(0, length));
    }
    if (result.size() + kCut.size() <= bytes_max) cut_at = result.size();
    text.remove_prefix(length);
  }
  return result;
}

}  // namespace apium
