// A function of any shape becomes a TaskHandler.
//
//   [](int64_t a, int64_t b) { return a + b; }                     JSON
//   [](TaskContext& context, std::string path) -> absl::Status     with context
//   [](const orders::Order& order) -> absl::StatusOr<orders::Bill> Protobuf
//   [](TaskContext&, const v1::Payload&) -> absl::StatusOr<v1::Payload>   raw
//   [](TaskContext&, const v1::Payload&, v1::Payload* result) -> absl::Status
//                                              raw, without a copy of the
//                                              result
//
// Parameters are taken by value or const reference: bool, integers, floating
// point, std::string, std::vector, std::optional, std::map<std::string, T>,
// nlohmann::json, whatever JsonCodec is specialized for; or one Protobuf
// message. Trailing std::optional parameters may be left out. The result is one
// of these, absl::Status, absl::StatusOr of one, or void (JSON null).

#ifndef APIUM_WORKER_TASK_HANDLER_H_
#define APIUM_WORKER_TASK_HANDLER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/task.pb.h"
#include "worker/json_codec.h"
#include "worker/task_arguments.h"
#include "worker/task_context.h"
#include "worker/task_error.h"

namespace apium {

// Runs one attempt on a thread of the pool; called by many at once. `result` is
// empty and is used if the status is OK. An error status becomes the task's
// failure (worker/task_error.h). May throw: the executor makes a failure of
// that, too.
using TaskHandler = std::function<absl::Status(
    TaskContext& context, const v1::Payload& payload, v1::Payload* result)>;

struct TaskOptions {
  // Names of the parameters, in order, without the context: then arguments may
  // be given by name. Empty: by position only.
  std::vector<std::string> parameter_names;
};

namespace task_handler_internal {

template <typename F>
struct Signature : Signature<decltype(&F::operator())> {};
template <typename R, typename... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  using Parameters = std::tuple<std::decay_t<A>...>;
};
template <typename R, typename... A>
struct Signature<R (*)(A...) noexcept> : Signature<R (*)(A...)> {};
template <typename R, typename C, typename... A>
struct Signature<R (C::*)(A...)> : Signature<R (*)(A...)> {};
template <typename R, typename C, typename... A>
struct Signature<R (C::*)(A...) const> : Signature<R (*)(A...)> {};
template <typename R, typename C, typename... A>
struct Signature<R (C::*)(A...) noexcept> : Signature<R (*)(A...)> {};
template <typename R, typename C, typename... A>
struct Signature<R (C::*)(A...) const noexcept> : Signature<R (*)(A...)> {};

template <typename Tuple>
struct SplitContext {
  static constexpr bool kHasContext = false;
  using Parameters = Tuple;
};
template <typename... A>
struct SplitContext<std::tuple<TaskContext, A...>> {
  static constexpr bool kHasContext = true;
  using Parameters = std::tuple<A...>;
};

template <typename T>
concept ProtobufMessage = requires(T message, std::string* out) {
  { message.ParseFromString(*out) } -> std::same_as<bool>;
  { message.SerializeToString(out) } -> std::same_as<bool>;
  { message.GetTypeName() } -> std::same_as<std::string>;
};

template <typename T>
struct IsStatusOr : std::false_type {};
template <typename T>
struct IsStatusOr<absl::StatusOr<T>> : std::true_type {};

template <typename T>
absl::Status EncodeResult(T&& value, v1::Payload* result) {
  using Value = std::decay_t<T>;
  if constexpr (std::is_same_v<Value, absl::Status>) {
    if (value.ok()) *result = JsonPayload(nlohmann::json());
    return std::forward<T>(value);
  } else if constexpr (IsStatusOr<Value>::value) {
    if (!value.ok()) return std::forward<T>(value).status();
    return EncodeResult(*std::forward<T>(value), result);
  } else if constexpr (std::is_same_v<Value, v1::Payload>) {
    *result = std::forward<T>(value);
  } else if constexpr (ProtobufMessage<Value>) {
    if (!value.SerializeToString(result->mutable_data())) {
      return NonRetryable(
          TaskError(failure_type::kBadResult,
                    StrCat("cannot serialize ", value.GetTypeName())));
    }
    result->set_content_type(ProtobufContentType(value.GetTypeName()));
  } else {
    static_assert(JsonCodable<Value>,
                  "the result's type has no JsonCodec and is no message");
    *result = JsonPayload(JsonCodec<Value>::Encode(std::forward<T>(value)));
  }
  return absl::OkStatus();
}

// Calls `call`, which may return nothing, and encodes what it returns.
template <typename Call>
absl::Status CallAndEncode(v1::Payload* result, Call&& call) {
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    *result = JsonPayload(nlohmann::json());
    return absl::OkStatus();
  } else {
    return EncodeResult(call(), result);
  }
}

template <bool kHasContext, typename F, typename... A>
decltype(auto) Invoke(F& function, TaskContext& context, A&&... arguments) {
  if constexpr (kHasContext) {
    return function(context, std::forward<A>(arguments)...);
  } else {
    return function(std::forward<A>(arguments)...);
  }
}

template <typename T>
absl::Status DecodeArgument(const TaskArguments& arguments,
                            const TaskOptions& options, size_t index,
                            T* value) {
  static_assert(JsonCodable<T>,
                "a parameter's type has no JsonCodec (views and pointers have "
                "none: take std::string or std::vector)");
  const nlohmann::json* json = arguments.Find(index);
  if (json == nullptr) {
    if constexpr (JsonCodec<T>::kOptional) return absl::OkStatus();
    return TaskArguments::Error(options.parameter_names, index, "is missing");
  }
  absl::Status status = JsonCodec<T>::Decode(*json, value);
  if (status.ok()) return status;
  return TaskArguments::Error(options.parameter_names, index,
                              StdView(status.message()));
}

template <bool kHasContext, typename F, typename... A, size_t... I>
absl::Status RunWithJson(F& function, const TaskOptions& options,
                         TaskContext& context, const v1::Payload& payload,
                         v1::Payload* result, std::tuple<A...>* values,
                         std::index_sequence<I...>) {
  absl::StatusOr<TaskArguments> arguments = TaskArguments::Parse(payload);
  if (!arguments.ok()) return std::move(arguments).status();
  absl::Status status = arguments->Bind(options.parameter_names, sizeof...(A));
  ((status.ok() ? void(status = DecodeArgument(*arguments, options, I,
                                               &std::get<I>(*values)))
                : void()),
   ...);
  if (!status.ok()) return status;
  return CallAndEncode(result, [&]() -> decltype(auto) {
    return Invoke<kHasContext>(function, context,
                               std::move(std::get<I>(*values))...);
  });
}

template <typename Parameters>
constexpr bool kTakesOneMessage = false;
template <typename T>
constexpr bool kTakesOneMessage<std::tuple<T>> = ProtobufMessage<T>;

}  // namespace task_handler_internal

template <typename F>
TaskHandler MakeTaskHandler(F function, TaskOptions options = {}) {
  namespace internal = task_handler_internal;
  using Split =
      internal::SplitContext<typename internal::Signature<F>::Parameters>;
  using Parameters = typename Split::Parameters;
  constexpr bool kHasContext = Split::kHasContext;

  if constexpr (std::is_same_v<Parameters,
                               std::tuple<v1::Payload, v1::Payload*>>) {
    return [function = std::move(function)](TaskContext& context,
                                            const v1::Payload& payload,
                                            v1::Payload* result) mutable {
      return internal::Invoke<kHasContext>(function, context, payload, result);
    };
  } else if constexpr (std::is_same_v<Parameters, std::tuple<v1::Payload>>) {
    return [function = std::move(function)](TaskContext& context,
                                            const v1::Payload& payload,
                                            v1::Payload* result) mutable {
      return internal::CallAndEncode(result, [&]() -> decltype(auto) {
        return internal::Invoke<kHasContext>(function, context, payload);
      });
    };
  } else if constexpr (internal::kTakesOneMessage<Parameters>) {
    return [function = std::move(function)](
               TaskContext& context, const v1::Payload& payload,
               v1::Payload* result) mutable -> absl::Status {
      std::tuple_element_t<0, Parameters> message;
      absl::Status status =
          CheckProtobufPayload(payload, message.GetTypeName());
      if (!status.ok()) return status;
      if (!message.ParseFromString(payload.data())) {
        return BadArguments(
            StrCat("the payload is not a valid ", message.GetTypeName()));
      }
      return internal::CallAndEncode(result, [&]() -> decltype(auto) {
        return internal::Invoke<kHasContext>(function, context,
                                             std::move(message));
      });
    };
  } else {
    return [function = std::move(function), options = std::move(options)](
               TaskContext& context, const v1::Payload& payload,
               v1::Payload* result) mutable {
      Parameters values;
      return internal::RunWithJson<kHasContext>(
          function, options, context, payload, result, &values,
          std::make_index_sequence<std::tuple_size_v<Parameters>>());
    };
  }
}

}  // namespace apium

#endif  // APIUM_WORKER_TASK_HANDLER_H_
