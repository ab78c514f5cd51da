#include "common/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/error_reason.h"
#include "common/strings.h"

namespace apium {
namespace {

struct Alphabet {
  std::string_view noun;     // what the value is, for the message
  std::string_view symbols;  // allowed besides letters and digits
  size_t bytes_max;
  bool upper_case = true;
  bool first_alphanumeric = true;
  bool last_alphanumeric = false;
};

constexpr Alphabet kNamespace = {.noun = "a namespace",
                                 .symbols = "-",
                                 .bytes_max = 63,
                                 .upper_case = false,
                                 .last_alphanumeric = true};
constexpr Alphabet kQueue = {
    .noun = "a queue name", .symbols = "_.:-", .bytes_max = kNameBytesMax};
constexpr Alphabet kTaskType = {
    .noun = "a task type", .symbols = "_.:-", .bytes_max = kNameBytesMax};
constexpr Alphabet kTaskId = {.noun = "a task id",
                              .symbols = "_.:@=+-",
                              .bytes_max = kTaskIdBytesMax,
                              .first_alphanumeric = false};
constexpr Alphabet kIdempotencyKey = {.noun = "an idempotency key",
                                      .symbols = "_.:@=+-",
                                      .bytes_max = kTaskIdBytesMax,
                                      .first_alphanumeric = false};
constexpr Alphabet kWorkerId = {
    .noun = "a worker id", .symbols = "_.:@=+-", .bytes_max = kNameBytesMax};
constexpr Alphabet kHeaderName = {.noun = "a header name",
                                  .symbols = "_.-",
                                  .bytes_max = kHeaderNameBytesMax,
                                  .upper_case = false};
constexpr Alphabet kLabelName = {
    .noun = "a label name", .symbols = "_.:-", .bytes_max = kNameBytesMax};

bool IsAlphanumeric(const Alphabet& alphabet, char c) {
  return absl::ascii_isdigit(c) || absl::ascii_islower(c) ||
         (alphabet.upper_case && absl::ascii_isupper(c));
}

bool IsAllowed(const Alphabet& alphabet, std::string_view value) {
  if (value.empty() || value.size() > alphabet.bytes_max) return false;
  if (alphabet.first_alphanumeric && !IsAlphanumeric(alphabet, value.front())) {
    return false;
  }
  if (alphabet.last_alphanumeric && !IsAlphanumeric(alphabet, value.back())) {
    return false;
  }
  return std::all_of(value.begin(), value.end(), [&](char c) {
    return IsAlphanumeric(alphabet, c) ||
           alphabet.symbols.find(c) != std::string_view::npos;
  });
}

// "1 to 63 of a-z 0-9 -, first and last a letter or digit"
std::string Describe(const Alphabet& alphabet) {
  std::string text = StrCat("1 to ", alphabet.bytes_max, " of ",
                            alphabet.upper_case ? "A-Z " : "", "a-z 0-9");
  for (char symbol : alphabet.symbols) {
    StrAppend(&text, " ", std::string_view(&symbol, 1));
  }
  if (alphabet.first_alphanumeric && alphabet.last_alphanumeric) {
    StrAppend(&text, ", first and last a letter or digit");
  } else if (alphabet.first_alphanumeric) {
    StrAppend(&text, ", first a letter or digit");
  }
  return text;
}

absl::Status Validate(const Alphabet& alphabet, std::string_view field,
                      std::string_view value) {
  if (IsAllowed(alphabet, value)) return absl::OkStatus();
  std::string found;
  if (value.empty()) {
    found = "it is empty";
  } else if (value.size() > alphabet.bytes_max) {
    found = StrCat(QuoteForMessage(value), " has ", value.size(), " bytes");
  } else {
    found = StrCat(QuoteForMessage(value), " is not ", alphabet.noun);
  }
  return InvalidField(
      field, StrCat(found, "; ", alphabet.noun, " is ", Describe(alphabet)));
}

}  // namespace

absl::Status ValidateNamespace(std::string_view field, std::string_view value) {
  return Validate(kNamespace, field, value);
}

absl::Status ValidateQueueName(std::string_view field, std::string_view value) {
  return Validate(kQueue, field, value);
}

absl::Status ValidateTaskType(std::string_view field, std::string_view value) {
  return Validate(kTaskType, field, value);
}

absl::Status ValidateTaskId(std::string_view field, std::string_view value) {
  return Validate(kTaskId, field, value);
}

absl::Status ValidateIdempotencyKey(std::string_view field,
                                    std::string_view value) {
  return Validate(kIdempotencyKey, field, value);
}

absl::Status ValidateWorkerId(std::string_view field, std::string_view value) {
  return Validate(kWorkerId, field, value);
}

absl::Status ValidateHeaderName(std::string_view field,
                                std::string_view value) {
  return Validate(kHeaderName, field, value);
}

absl::Status ValidateLabelName(std::string_view field, std::string_view value) {
  return Validate(kLabelName, field, value);
}

std::string QuoteForMessage(std::string_view value) {
  constexpr size_t kShownBytesMax = 64;
  const bool cut = value.size() > kShownBytesMax;
  return StrCat("\"",
                absl::CHexEscape(AbslView(value.substr(0, kShownBytesMax))),
                cut ? "...\"" : "\"");
}

}  // namespace apium
