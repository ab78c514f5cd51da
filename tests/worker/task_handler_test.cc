#include "worker/task_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "apium/v1/worker_service.pb.h"
#include "tests/support/status_matchers.h"
#include "worker/attempt.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

v1::Payload Json(const std::string& text) {
  v1::Payload payload;
  payload.set_content_type("application/json; charset=utf-8");
  payload.set_data(text);
  return payload;
}

// Calls a handler as the executor does, and shows the result as text.
absl::StatusOr<std::string> Call(const TaskHandler& handler,
                                 const v1::Payload& payload) {
  v1::Lease lease;
  lease.set_task_id("t1");
  Attempt attempt(nullptr, lease, std::make_shared<v1::Delivery>());
  const std::string worker_id = "w1";
  TaskContext context(&attempt, &worker_id);
  v1::Payload result;
  absl::Status status = handler(context, payload, &result);
  if (!status.ok()) return status;
  return result.data();
}

absl::StatusOr<std::string> CallJson(const TaskHandler& handler,
                                     const std::string& json) {
  return Call(handler, Json(json));
}

void ExpectBadArguments(const absl::StatusOr<std::string>& result,
                        const std::string& message) {
  EXPECT_THAT(result,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  EXPECT_EQ(FailureTypeOf(result.status()), failure_type::kBadArguments);
  EXPECT_TRUE(IsNonRetryable(result.status()));
}

int64_t Add(int64_t a, int64_t b) { return a + b; }

TEST(TaskHandlerTest, PassesPositionalArguments) {
  EXPECT_THAT(CallJson(MakeTaskHandler(Add), R"({"args":[2,3]})"),
              IsOkAndHolds("5"));
}

TEST(TaskHandlerTest, PassesNamedArguments) {
  const TaskHandler add = MakeTaskHandler(Add, {.parameter_names = {"a", "b"}});
  EXPECT_THAT(CallJson(add, R"({"kwargs":{"b":3,"a":2}})"), IsOkAndHolds("5"));
  EXPECT_THAT(CallJson(add, R"({"args":[2],"kwargs":{"b":3}})"),
              IsOkAndHolds("5"));
}

TEST(TaskHandlerTest, PassesEveryKindOfValue) {
  const auto handler = MakeTaskHandler(
      [](bool flag, double number, const std::string& text,
         std::vector<int> list, std::map<std::string, double> members,
         const nlohmann::json& any, std::optional<int8_t> missing) {
        return nlohmann::json{
            flag, number, text, list, members, any, missing.has_value()};
      });
  EXPECT_THAT(
      CallJson(handler,
               R"({"args":[true,2,"x",[1,2],{"k":0.5},{"a":[null]}]})"),
      IsOkAndHolds(R"([true,2.0,"x",[1,2],{"k":0.5},{"a":[null]},false])"));
}

TEST(TaskHandlerTest, OptionalParametersMayBeLeftOutOrNull) {
  const auto handler = MakeTaskHandler(
      [](std::optional<int> a, std::optional<int> b) -> std::optional<int> {
        if (a.has_value()) return a;
        return b;
      });
  EXPECT_THAT(CallJson(handler, R"({})"), IsOkAndHolds("null"));
  EXPECT_THAT(CallJson(handler, R"({"args":[null,4]})"), IsOkAndHolds("4"));
  EXPECT_THAT(Call(handler, v1::Payload()), IsOkAndHolds("null"));
}

TEST(TaskHandlerTest, GivesTheContextToWhoeverWantsIt) {
  const auto handler =
      MakeTaskHandler([](TaskContext& context, const std::string& text) {
        return context.task_id() + "/" + text;
      });
  EXPECT_THAT(CallJson(handler, R"({"args":["x"]})"), IsOkAndHolds("\"t1/x\""));
}

TEST(TaskHandlerTest, ResultsOfEveryForm) {
  EXPECT_THAT(Call(MakeTaskHandler([] {}), v1::Payload()),
              IsOkAndHolds("null"));
  EXPECT_THAT(
      Call(MakeTaskHandler([] { return absl::OkStatus(); }), v1::Payload()),
      IsOkAndHolds("null"));
  EXPECT_THAT(
      Call(MakeTaskHandler([]() -> absl::StatusOr<std::vector<std::string>> {
             return std::vector<std::string>{"a"};
           }),
           v1::Payload()),
      IsOkAndHolds(R"(["a"])"));
  EXPECT_THAT(Call(MakeTaskHandler([]() -> absl::StatusOr<int> {
                     return absl::AbortedError("no");
                   }),
                   v1::Payload()),
              StatusIs(absl::StatusCode::kAborted, "no"));
  EXPECT_THAT(Call(MakeTaskHandler([] { return absl::AbortedError("no"); }),
                   v1::Payload()),
              StatusIs(absl::StatusCode::kAborted, "no"));
}

TEST(TaskHandlerTest, TextThatIsNotUtf8BecomesReplacementCharacters) {
  EXPECT_THAT(
      Call(MakeTaskHandler([] { return std::string("\xff"); }), v1::Payload()),
      IsOkAndHolds("\"\xEF\xBF\xBD\""));
}

TEST(TaskHandlerTest, RawHandlersSeeThePayloadAsItIs) {
  const auto handler = MakeTaskHandler(
      [](TaskContext&,
         const v1::Payload& payload) -> absl::StatusOr<v1::Payload> {
        v1::Payload result = payload;
        result.set_data(payload.data() + "!");
        return result;
      });
  v1::Payload payload;
  payload.set_data("\x01\x02");
  payload.set_content_encoding("zstd");
  EXPECT_THAT(Call(handler, payload), IsOkAndHolds("\x01\x02!"));
}

TEST(TaskHandlerTest, RawHandlersMayWriteTheResultInPlace) {
  const auto handler = MakeTaskHandler(
      [](TaskContext&, const v1::Payload& payload, v1::Payload* result) {
        result->set_data(payload.data() + "?");
        return payload.data().empty() ? absl::AbortedError("no")
                                      : absl::OkStatus();
      });
  v1::Payload payload;
  EXPECT_THAT(Call(handler, payload), StatusIs(absl::StatusCode::kAborted));
  payload.set_data("x");
  EXPECT_THAT(Call(handler, payload), IsOkAndHolds("x?"));
}

TEST(TaskHandlerTest, ProtobufInAndOut) {
  const TaskHandler handler = MakeTaskHandler(
      [](const v1::Progress& progress) -> absl::StatusOr<v1::Failure> {
        v1::Failure failure;
        failure.set_message(progress.message() + "?");
        return failure;
      });
  v1::Progress progress;
  progress.set_message("far");
  v1::Payload payload;
  payload.set_data(progress.SerializeAsString());
  v1::Failure failure;
  for (const char* type :
       {"application/x-protobuf",
        "application/x-protobuf; messageType=apium.v1.Progress",
        "application/x-protobuf;messageType=\"apium.v1.Progress\""}) {
    payload.set_content_type(type);
    absl::StatusOr<std::string> result = Call(handler, payload);
    APIUM_ASSERT_OK(result);
    ASSERT_TRUE(failure.ParseFromString(*result));
    EXPECT_EQ(failure.message(), "far?");
  }
}

TEST(TaskHandlerTest, ProtobufResultsNameTheirType) {
  const TaskHandler handler = MakeTaskHandler([] { return v1::Failure(); });
  Attempt attempt(nullptr, v1::Lease(), std::make_shared<v1::Delivery>());
  const std::string worker_id = "w1";
  TaskContext context(&attempt, &worker_id);
  v1::Payload result;
  APIUM_ASSERT_OK(handler(context, v1::Payload(), &result));
  EXPECT_EQ(result.content_type(),
            "application/x-protobuf; messageType=apium.v1.Failure");
}

TEST(TaskHandlerTest, RefusesAnotherMessageType) {
  const TaskHandler handler =
      MakeTaskHandler([](const v1::Progress&) { return 1; });
  v1::Payload payload;
  payload.set_content_type("application/x-protobuf; messageType=a.b.C");
  ExpectBadArguments(Call(handler, payload),
                     "expected application/x-protobuf; "
                     "messageType=apium.v1.Progress");
  ExpectBadArguments(CallJson(handler, "{}"), "content_type");
  payload.set_content_type("application/x-protobuf");
  payload.set_data("\xff\xff\xff");
  ExpectBadArguments(Call(handler, payload), "not a valid apium.v1.Progress");
}

TEST(TaskHandlerTest, SaysWhichArgumentIsWrongAndWhatWouldBeRight) {
  const TaskHandler add = MakeTaskHandler(Add, {.parameter_names = {"a", "b"}});
  ExpectBadArguments(CallJson(add, R"({"args":[1,"two"]})"),
                     "argument 2 (b): expected an integer, got string \"two\"");
  ExpectBadArguments(CallJson(add, R"({"args":[1,1.5]})"),
                     "expected an integer, got number 1.5");
  ExpectBadArguments(CallJson(add, R"({"args":[1]})"),
                     "argument 2 (b): is missing");
  ExpectBadArguments(CallJson(add, R"({"args":[1,2,3]})"),
                     "got 3 positional arguments, expected at most 2");
  ExpectBadArguments(CallJson(add, R"({"args":[1,2],"kwargs":{"c":1}})"),
                     "unknown named argument \"c\"");
  ExpectBadArguments(CallJson(add, R"({"args":[1,2],"kwargs":{"a":1}})"),
                     "by position and by name");
  ExpectBadArguments(
      CallJson(MakeTaskHandler(Add), R"({"args":[1],"kwargs":{"b":1}})"),
      "this task takes positional ones only");
  ExpectBadArguments(
      CallJson(MakeTaskHandler([](const std::vector<bool>&) {}),
               R"({"args":[[true,1]]})"),
      "argument 1: element 1: expected true or false, got number 1");
}

TEST(TaskHandlerTest, RefusesNumbersOutOfRange) {
  const TaskHandler handler = MakeTaskHandler([](uint8_t) {});
  ExpectBadArguments(CallJson(handler, R"({"args":[256]})"),
                     "expected an integer from 0 to 255, got number 256");
  ExpectBadArguments(CallJson(handler, R"({"args":[-1]})"), "got number -1");
  ExpectBadArguments(CallJson(MakeTaskHandler([](int64_t) {}),
                              R"({"args":[18446744073709551615]})"),
                     "got number 18446744073709551615");
}

TEST(TaskHandlerTest, RefusesPayloadsThatAreNotTheCommonForm) {
  const TaskHandler add = MakeTaskHandler(Add);
  ExpectBadArguments(CallJson(add, "{"), "not valid JSON");
  ExpectBadArguments(CallJson(add, "[1,2]"), "JSON of type array");
  ExpectBadArguments(CallJson(add, R"({"arguments":[]})"),
                     "member \"arguments\"");
  ExpectBadArguments(CallJson(add, R"({"args":{}})"), "member \"args\"");
  v1::Payload payload = Json(R"({"args":[1,2]})");
  payload.set_content_encoding("zstd");
  ExpectBadArguments(Call(add, payload), "content_encoding is \"zstd\"");
  payload = Json(R"({"args":[1,2]})");
  payload.set_content_type("");
  ExpectBadArguments(Call(add, payload), "expected application/json");
}

}  // namespace
}  // namespace apium
