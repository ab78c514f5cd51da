#ifndef APIUM_BROKER_ENGINE_TASK_HEADERS_H_
#define APIUM_BROKER_ENGINE_TASK_HEADERS_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace apium::broker {

// Sets a header that the engine itself gives to a task that it submits.
// `headers` stay sorted by name.
inline void SetHeader(
    std::string_view name, const std::string& value,
    std::vector<std::pair<std::string, std::string>>* headers) {
  const auto at =
      std::lower_bound(headers->begin(), headers->end(), name,
                       [](const auto& header, std::string_view key) {
                         return header.first < key;
                       });
  if (at != headers->end() && at->first == name) {
    at->second = value;
  } else {
    headers->insert(at, {std::string(name), value});
  }
}

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_HEADERS_H_
