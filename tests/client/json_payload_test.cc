#include "client/json_payload.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

TEST(JsonPayloadTest, ArgumentsBecomeTheCommonForm) {
  const v1::Payload payload =
      JsonArguments(1, "x", std::vector<int>{2, 3}, true);
  EXPECT_EQ(payload.data(), R"({"args":[1,"x",[2,3],true]})");
  EXPECT_EQ(payload.content_type(), "application/json");
}

TEST(JsonPayloadTest, NoArgumentsAreAnEmptyList) {
  EXPECT_EQ(JsonArguments().data(), R"({"args":[]})");
}

TEST(JsonPayloadTest, OneListIsOneArgument) {
  EXPECT_EQ(JsonArguments(std::vector<int>{1, 2}).data(),
            R"({"args":[[1,2]]})");
}

TEST(JsonPayloadTest, KeywordArgumentsAreAddedWhenThereAreAny) {
  EXPECT_EQ(JsonPayloadOfArguments({1}, {{"k", "v"}}).data(),
            R"({"args":[1],"kwargs":{"k":"v"}})");
}

TEST(JsonPayloadTest, TextThatIsNotUtf8IsRepaired) {
  EXPECT_EQ(JsonArguments("a\xff").data(), "{\"args\":[\"a\xEF\xBF\xBD\"]}");
}

TEST(JsonPayloadTest, DecodesWhatItEncoded) {
  EXPECT_THAT(DecodeJsonAs<int>(JsonPayload(41)), IsOkAndHolds(41));
  const auto counts =
      DecodeJsonAs<std::map<std::string, int>>(JsonPayload({{"the", 3}}));
  ASSERT_THAT(counts, IsOk());
  EXPECT_EQ(counts->at("the"), 3);
}

TEST(JsonPayloadTest, AWrongTypeIsAnErrorNotACrash) {
  EXPECT_THAT(DecodeJsonAs<int>(JsonPayload("text")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("must be number")));
}

TEST(JsonPayloadTest, WhatIsNotJsonSaysWhere) {
  v1::Payload payload;
  payload.set_data("[1,");
  payload.set_content_type("application/json; charset=utf-8");
  EXPECT_THAT(DecodeJson(payload), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("column 4")));
}

TEST(JsonPayloadTest, OtherContentIsNotGuessedAt) {
  v1::Payload payload = JsonPayload(1);
  payload.set_content_type("text/plain");
  EXPECT_THAT(DecodeJson(payload), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("text/plain")));
  payload = JsonPayload(1);
  payload.set_content_encoding("zstd");
  EXPECT_THAT(DecodeJson(payload),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zstd")));
}

}  // namespace
}  // namespace apium
