// JSON <-> C++ values, for the parameters and results of typed tasks.
//
// Strict, so that a caller's mistake shows as one: no number in a string, no
// fraction where an integer is wanted, no value out of range. Specialize
// JsonCodec for types of your own.

#ifndef APIUM_WORKER_JSON_CODEC_H_
#define APIUM_WORKER_JSON_CODEC_H_

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/strings.h"

namespace apium {

// INVALID_ARGUMENT "expected an integer, got the string \"3\"".
absl::Status JsonMismatch(std::string_view expected, const nlohmann::json& got);

// Decode writes `*value` or returns INVALID_ARGUMENT; Encode always succeeds.
// kOptional: the argument may be left out.
template <typename T>
struct JsonCodec;

template <typename T>
concept JsonCodable = requires(const nlohmann::json& json, T* value) {
  { JsonCodec<T>::Decode(json, value) } -> std::same_as<absl::Status>;
};

template <>
struct JsonCodec<nlohmann::json> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json,
                             nlohmann::json* value) {
    *value = json;
    return absl::OkStatus();
  }
  static nlohmann::json Encode(nlohmann::json value) { return value; }
};

template <>
struct JsonCodec<bool> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json, bool* value) {
    if (!json.is_boolean()) return JsonMismatch("true or false", json);
    *value = json.get<bool>();
    return absl::OkStatus();
  }
  static nlohmann::json Encode(bool value) { return value; }
};

template <std::integral T>
requires(!std::same_as<T, bool>) struct JsonCodec<T> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json, T* value) {
    if (!json.is_number_integer()) return JsonMismatch("an integer", json);
    const bool fits = json.is_number_unsigned()
                          ? std::in_range<T>(json.get<uint64_t>())
                          : std::in_range<T>(json.get<int64_t>());
    if (!fits) {
      return JsonMismatch(
          StrCat("an integer from ", +std::numeric_limits<T>::min(), " to ",
                 +std::numeric_limits<T>::max()),
          json);
    }
    *value = json.get<T>();
    return absl::OkStatus();
  }
  static nlohmann::json Encode(T value) { return value; }
};

template <std::floating_point T>
struct JsonCodec<T> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json, T* value) {
    if (!json.is_number()) return JsonMismatch("a number", json);
    *value = json.get<T>();
    return absl::OkStatus();
  }
  static nlohmann::json Encode(T value) { return value; }
};

template <>
struct JsonCodec<std::string> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json, std::string* value) {
    if (!json.is_string()) return JsonMismatch("a string", json);
    *value = json.get_ref<const std::string&>();
    return absl::OkStatus();
  }
  static nlohmann::json Encode(std::string value) { return value; }
};

// null and a missing argument are nothing.
template <JsonCodable T>
struct JsonCodec<std::optional<T>> {
  static constexpr bool kOptional = true;
  static absl::Status Decode(const nlohmann::json& json,
                             std::optional<T>* value) {
    if (json.is_null()) {
      value->reset();
      return absl::OkStatus();
    }
    return JsonCodec<T>::Decode(json, &value->emplace());
  }
  static nlohmann::json Encode(std::optional<T> value) {
    return value.has_value() ? JsonCodec<T>::Encode(*std::move(value))
                             : nlohmann::json();
  }
};

template <JsonCodable T>
struct JsonCodec<std::vector<T>> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json,
                             std::vector<T>* value) {
    if (!json.is_array()) return JsonMismatch("an array", json);
    value->clear();
    value->reserve(json.size());
    for (const nlohmann::json& element : json) {
      T decoded{};
      if (absl::Status status = JsonCodec<T>::Decode(element, &decoded);
          !status.ok()) {
        return absl::InvalidArgumentError(
            StrCat("element ", value->size(), ": ", status.message()));
      }
      value->push_back(std::move(decoded));
    }
    return absl::OkStatus();
  }
  static nlohmann::json Encode(std::vector<T> value) {
    nlohmann::json json = nlohmann::json::array();
    for (auto&& element : value) {
      json.push_back(JsonCodec<T>::Encode(std::move(element)));
    }
    return json;
  }
};

template <JsonCodable T>
struct JsonCodec<std::map<std::string, T>> {
  static constexpr bool kOptional = false;
  static absl::Status Decode(const nlohmann::json& json,
                             std::map<std::string, T>* value) {
    if (!json.is_object()) return JsonMismatch("an object", json);
    value->clear();
    for (const auto& [key, element] : json.items()) {
      if (absl::Status status = JsonCodec<T>::Decode(element, &(*value)[key]);
          !status.ok()) {
        return absl::InvalidArgumentError(
            StrCat("member \"", key, "\": ", status.message()));
      }
    }
    return absl::OkStatus();
  }
  static nlohmann::json Encode(std::map<std::string, T> value) {
    nlohmann::json json = nlohmann::json::object();
    for (auto& [key, element] : value) {
      json[key] = JsonCodec<T>::Encode(std::move(element));
    }
    return json;
  }
};

}  // namespace apium

#endif  // APIUM_WORKER_JSON_CODEC_H_
