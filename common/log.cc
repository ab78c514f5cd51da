#include "common/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "common/strings.h"
#include "common/utf8.h"
#include "common/version.h"

namespace apium {
namespace {

// What InitLogging decided. Replaced as a whole and never freed: other threads
// may be logging.
struct Sink {
  std::shared_ptr<spdlog::logger> logger;
  std::string service;
  bool json = false;
  const Sink* replaced = nullptr;  // keeps the earlier ones reachable
};

Sink* MakeSink(const LogOptions& options) {
  auto* sink = new Sink;
  sink->service = options.service;
  sink->json = options.format == LogFormat::kJson ||
               (options.format == LogFormat::kAuto && !isatty(STDERR_FILENO));
  if (sink->json) {
    sink->logger = std::make_shared<spdlog::logger>(
        options.service, std::make_shared<spdlog::sinks::stderr_sink_mt>());
    sink->logger->set_pattern("%v");
  } else {
    sink->logger = std::make_shared<spdlog::logger>(
        options.service,
        std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    sink->logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%L%$ %v");
  }
  // Log() filters, so that the fields of a filtered message are not formatted.
  sink->logger->set_level(spdlog::level::trace);
  return sink;
}

std::atomic<const Sink*> current_sink{nullptr};
std::atomic<LogLevel> current_level{LogLevel::kInfo};

const Sink& CurrentSink() {
  const Sink* sink = current_sink.load(std::memory_order_acquire);
  if (sink == nullptr) {
    static const Sink* const before_init =
        MakeSink({.service = "apium", .format = LogFormat::kText});
    sink = before_init;
  }
  return *sink;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// A string as it stands if it is one plain word, else quoted: a reader can tell
// where a value ends, and a terminal gets no control characters.
std::string TextValue(std::string_view text) {
  bool plain = !text.empty();
  for (char c : text) {
    if (!absl::ascii_isgraph(c) || c == '"' || c == '=') plain = false;
  }
  if (plain) return std::string(text);
  return StrCat("\"", absl::Utf8SafeCHexEscape(ToValidUtf8(text)), "\"");
}

std::string FormatText(std::string_view message,
                       std::initializer_list<LogField> fields) {
  std::string line(absl::Utf8SafeCHexEscape(ToValidUtf8(message)));
  for (const LogField& field : fields) {
    StrAppend(&line, " ", field.key, "=");
    std::visit(
        [&line](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::string_view> ||
                        std::is_same_v<T, std::string>) {
            line += TextValue(value);
          } else if constexpr (std::is_same_v<T, bool>) {
            line += value ? "true" : "false";
          } else {
            StrAppend(&line, value);
          }
        },
        field.value.value());
  }
  return line;
}

}  // namespace

LogValue::LogValue(absl::Duration value)
    : value_(absl::FormatDuration(value)) {}

LogValue::LogValue(absl::Time value)
    : value_(absl::FormatTime(absl::RFC3339_full, value, absl::UTCTimeZone())) {
}

LogValue::LogValue(const absl::Status& value)
    // Without the payloads, which are for programs, as escaped bytes.
    : value_(value.ToString(absl::StatusToStringMode::kWithNoExtraData)) {}

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning,
                         LogLevel::kError}) {
    if (text == LevelName(level)) return level;
  }
  return absl::InvalidArgumentError(
      StrCat("\"", absl::CHexEscape(AbslView(text)),
             "\" is not a log level; choose debug, info, warn or error"));
}

absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "auto") return LogFormat::kAuto;
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      StrCat("\"", absl::CHexEscape(AbslView(text)),
             "\" is not a log format; choose auto, text or json"));
}

void InitLogging(const LogOptions& options) {
  SetLogLevel(options.level);
  Sink* sink = MakeSink(options);
  sink->replaced = current_sink.load(std::memory_order_acquire);
  current_sink.store(sink, std::memory_order_release);
}

void SetLogLevel(LogLevel level) {
  current_level.store(level, std::memory_order_relaxed);
}

bool LogEnabled(LogLevel level) {
  return level >= current_level.load(std::memory_order_relaxed);
}

void Log(LogLevel level, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (!LogEnabled(level)) return;
  const Sink& sink = CurrentSink();
  sink.logger->log(SpdlogLevel(level),
                   sink.json ? FormatJsonLogLine(absl::Now(), level,
                                                 sink.service, message, fields)
                             : FormatText(message, fields));
}

void LogDebug(std::string_view message,
              std::initializer_list<LogField> fields) {
  Log(LogLevel::kDebug, message, fields);
}

void LogInfo(std::string_view message, std::initializer_list<LogField> fields) {
  Log(LogLevel::kInfo, message, fields);
}

void LogWarning(std::string_view message,
                std::initializer_list<LogField> fields) {
  Log(LogLevel::kWarning, message, fields);
}

void LogError(std::string_view message,
              std::initializer_list<LogField> fields) {
  Log(LogLevel::kError, message, fields);
}

std::optional<uint64_t> LogEvery::Admit() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return AdmitAt(absl::DurationFromTimespec(now));
}

std::optional<uint64_t> LogEvery::AdmitAt(absl::Duration monotonic_now) {
  const int64_t now = absl::ToInt64Nanoseconds(monotonic_now);
  int64_t next = next_nanos_.load(std::memory_order_relaxed);
  // Of several threads that come at once, the one that moves `next` is
  // admitted.
  if (now < next || !next_nanos_.compare_exchange_strong(
                        next, now + absl::ToInt64Nanoseconds(period_),
                        std::memory_order_relaxed)) {
    skipped_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return skipped_.exchange(0, std::memory_order_relaxed);
}

std::string FormatJsonLogLine(absl::Time time, LogLevel level,
                              std::string_view service,
                              std::string_view message,
                              std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line;
  line["ts"] =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E9SZ", time, absl::UTCTimeZone());
  line["level"] = LevelName(level);
  line["msg"] = message;
  line["service"] = service;
  line["version"] = kVersion;
  for (const LogField& field : fields) {
    std::visit([&](const auto& value) { line[std::string(field.key)] = value; },
               field.value.value());
  }
  // Bytes that are not UTF-8 become U+FFFD instead of an exception.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace apium
