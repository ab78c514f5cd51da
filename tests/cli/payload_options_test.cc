#include "cli/payload_options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/status_matchers.h"

namespace apium::cli {
namespace {

using ::testing::HasSubstr;

class PayloadOptionsTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::string> Data(const PayloadOptions& options) {
    absl::StatusOr<v1::Payload> payload = MakePayload(options, &in_);
    if (!payload.ok()) return payload.status();
    return payload->data();
  }

  std::istringstream in_{"from stdin"};
};

TEST_F(PayloadOptionsTest, ArgumentsAreJsonOrElseText) {
  EXPECT_THAT(
      Data({.args = {"alice", "3", "true", "null", R"({"a": 1})", R"("3")",
                     "2.5", "x y", ""}}),
      IsOkAndHolds(std::string(
          R"({"args":["alice",3,true,null,{"a":1},"3",2.5,"x y",""]})")));
}

TEST_F(PayloadOptionsTest, KeywordArgumentsFollowTheSameRule) {
  EXPECT_THAT(
      Data({.args = {"1"}, .kwargs = {{"n", "2"}, {"s", "text"}}}),
      IsOkAndHolds(std::string(R"({"args":[1],"kwargs":{"n":2,"s":"text"}})")));
}

TEST_F(PayloadOptionsTest, WithoutAnythingThereAreNoArguments) {
  EXPECT_THAT(Data({}), IsOkAndHolds(std::string(R"({"args":[]})")));
}

TEST_F(PayloadOptionsTest, BrokenJsonIsNotTakenForText) {
  EXPECT_THAT(Data({.args = {"{\"a\":"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not")));
  EXPECT_THAT(Data({.kwargs = {{"k", "[1,"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(PayloadOptionsTest, APayloadIsSentAsItIs) {
  absl::StatusOr<v1::Payload> payload =
      MakePayload({.payload = "{\"a\": 1}"}, &in_);
  ASSERT_THAT(payload, IsOk());
  EXPECT_EQ(payload->data(), "{\"a\": 1}");
  EXPECT_EQ(payload->content_type(), "application/json");
}

TEST_F(PayloadOptionsTest, TheContentTypeIsGuessedUnlessGiven) {
  EXPECT_EQ(MakePayload({.payload = "hello"}, &in_)->content_type(),
            "text/plain");
  EXPECT_EQ(MakePayload({.payload = "\xff\xd8"}, &in_)->content_type(),
            "application/octet-stream");
  EXPECT_EQ(MakePayload({.payload = "x", .content_type = "image/jpeg"}, &in_)
                ->content_type(),
            "image/jpeg");
}

TEST_F(PayloadOptionsTest, ADashReadsStandardInput) {
  EXPECT_THAT(Data({.payload = "-"}), IsOkAndHolds(std::string("from stdin")));
  in_.str("again");
  in_.clear();
  EXPECT_THAT(Data({.payload_file = "-"}), IsOkAndHolds(std::string("again")));
}

TEST_F(PayloadOptionsTest, AFileIsReadWhole) {
  const std::string path = ::testing::TempDir() + "/payload.bin";
  std::ofstream(path, std::ios::binary) << std::string("a\0b\n", 4);
  EXPECT_THAT(Data({.payload_file = path}),
              IsOkAndHolds(std::string("a\0b\n", 4)));
  EXPECT_THAT(Data({.payload_file = path + ".not"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("No such file")));
}

TEST_F(PayloadOptionsTest, OnlyOneKindMayBeGiven) {
  EXPECT_THAT(Data({.args = {"1"}, .payload = "x"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Data({.payload = "x", .payload_file = "y"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace apium::cli
