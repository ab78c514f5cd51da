#ifndef APIUM_BROKER_ENGINE_LIMIT_COMMAND_H_
#define APIUM_BROKER_ENGINE_LIMIT_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/limit.h"
#include "broker/engine/sinks.h"

// What can be asked of limits.
namespace apium::broker {

// Answered by LimitReply.
struct CreateLimitCommand {
  ReplyAddress reply;
  std::string namespace_name;
  Limit limit;
};

// Answered by LimitReply.
struct GetLimitCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
};

// Answered by LimitPageReply.
struct ListLimitsCommand {
  ReplyAddress reply;
  std::string namespace_name;
  uint32_t page_size = 100;
  std::string page_token;  // the page is behind this name; empty: the start
};

// Answered by LimitReply. What is unset stays.
struct UpdateLimitCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
  std::string etag;  // empty: whatever it is
  std::optional<std::string> description;
  std::optional<std::string> type_pattern;
  std::optional<std::string> queue_pattern;
  std::optional<uint32_t> max_concurrency;
  std::optional<std::optional<Rate>> rate;
  std::optional<bool> disabled;
};

// Answered by StatusReply.
struct DeleteLimitCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string name;
};

// Answered by LimitUsageReply.
struct ListLimitUsageCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string limit;
  uint32_t page_size = 100;
  std::string page_token;  // the page is behind this key; empty: the start
};

// Answered by LimitUsageReply, with one entry.
struct PauseLimitKeyCommand {
  ReplyAddress reply;
  std::string namespace_name;
  std::string limit;
  std::string key;
  absl::Duration duration;  // 0: ends a pause
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_LIMIT_COMMAND_H_
