// Structured logs to stderr: text on a terminal, JSON lines elsewhere (keys ts,
// level, msg, service, version, then the caller's). A payload is never logged.
// Any thread.
//
//   LogInfo("queue created", {{"namespace", ns}, {"queue", queue}});
//
//   static LogEvery every(absl::Seconds(10));
//   if (std::optional<uint64_t> skipped = every.Admit()) LogWarning("slow
//   sync", {{"skipped", *skipped}});

#ifndef APIUM_COMMON_LOG_H_
#define APIUM_COMMON_LOG_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace apium {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat {
  kAuto,  // text if stderr is a terminal, else JSON
  kText,
  kJson,
};

// "debug" | "info" | "warn" | "error"; INVALID_ARGUMENT names the choices.
absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text);
// "auto" | "text" | "json".
absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text);

struct LogOptions {
  std::string service;  // "apium-broker"
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
};

// Once, at the start of main. Logging before it works, as text at info level.
void InitLogging(const LogOptions& options);
// At run time.
void SetLogLevel(LogLevel level);
// To save the making of costly fields.
bool LogEnabled(LogLevel level);

// A value of a field; borrows strings for the length of the call.
class LogValue {
 public:
  using Variant = std::variant<std::string_view, std::string, int64_t, uint64_t,
                               double, bool>;

  LogValue(const char* text)
      : value_(std::string_view(text)) {
  }  // NOLINT: implicit, so that fields read as data
  LogValue(std::string_view text) : value_(text) {}  // NOLINT
  LogValue(const std::string& text)
      : value_(std::string_view(text)) {}  // NOLINT
  LogValue(absl::string_view text)         // NOLINT
      : value_(std::string_view(text.data(), text.size())) {}
  LogValue(bool value) : value_(value) {}  // NOLINT
  template <std::signed_integral T>
  LogValue(T value) : value_(static_cast<int64_t>(value)) {}  // NOLINT
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogValue(T value)
      : value_(static_cast<uint64_t>(value)) {}  // NOLINT
  LogValue(double value) : value_(value) {}      // NOLINT
  LogValue(absl::Duration value);                // NOLINT: "1.5s"
  LogValue(absl::Time value);                    // NOLINT: RFC 3339, UTC
  LogValue(const absl::Status& value);           // NOLINT: "NOT_FOUND: ..."

  const Variant& value() const { return value_; }

 private:
  Variant value_;
};

struct LogField {
  std::string_view key;  // snake_case
  LogValue value;
};

// `message` is a fixed text in lower case; what varies goes into fields.
void Log(LogLevel level, std::string_view message,
         std::initializer_list<LogField> fields = {});
void LogDebug(std::string_view message,
              std::initializer_list<LogField> fields = {});
void LogInfo(std::string_view message,
             std::initializer_list<LogField> fields = {});
void LogWarning(std::string_view message,
                std::initializer_list<LogField> fields = {});
void LogError(std::string_view message,
              std::initializer_list<LogField> fields = {});

// Lets one message through per `period`, and counts those in between. Any
// thread, no lock.
class LogEvery {
 public:
  explicit LogEvery(absl::Duration period) : period_(period) {}

  // The number of calls since the last admitted one, or nothing if it is too
  // early. The first call is admitted.
  std::optional<uint64_t> Admit();
  // The same at a given monotonic time.
  std::optional<uint64_t> AdmitAt(absl::Duration monotonic_now);

 private:
  const absl::Duration period_;
  std::atomic<int64_t> next_nanos_{INT64_MIN};
  std::atomic<uint64_t> skipped_{0};
};

// The line without its newline, as Log writes it in JSON; what tests compare.
std::string FormatJsonLogLine(absl::Time time, LogLevel level,
                              std::string_view service,
                              std::string_view message,
                              std::initializer_list<LogField> fields);

}  // namespace apium

#endif  // APIUM_COMMON_LOG_H_
