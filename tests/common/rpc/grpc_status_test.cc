#include "common/rpc/grpc_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "apium/rpc/v1/error_details.pb.h"
#include "common/error_reason.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

rpc::v1::Status DetailsOf(const grpc::Status& status) {
  rpc::v1::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

TEST(GrpcStatusTest, OkIsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_THAT(FromGrpcStatus(grpc::Status::OK), IsOk());
}

TEST(GrpcStatusTest, FactsSurviveTheRoundTrip) {
  const absl::Status sent =
      WithRetryDelay(WithReason(absl::ResourceExhaustedError("backlog full"),
                                "BACKLOG_FULL", {{"queue", "emails"}}),
                     absl::Seconds(2));
  const absl::Status received = FromGrpcStatus(ToGrpcStatus(sent));
  EXPECT_THAT(received,
              StatusIs(absl::StatusCode::kResourceExhausted, "backlog full"));
  EXPECT_THAT(received, HasReason("BACKLOG_FULL"));
  EXPECT_THAT(ReasonMetadataOf(received), ElementsAre(Pair("queue", "emails")));
  EXPECT_EQ(RetryDelayOf(received), absl::Seconds(2));
  EXPECT_EQ(received, sent);
}

TEST(GrpcStatusTest, ViolationsSurviveTheRoundTrip) {
  const absl::Status received =
      FromGrpcStatus(ToGrpcStatus(InvalidField("task.id", "it is empty")));
  EXPECT_THAT(FieldViolationsOf(received),
              ElementsAre(Pair("task.id", "it is empty")));
}

// Bytes of google.rpc.Status as protoc makes them from googleapis: what foreign
// clients decode.
TEST(GrpcStatusTest, SpeaksTheWireFormatOfGoogleRpc) {
  const grpc::Status status =
      ToGrpcStatus(WithReason(absl::NotFoundError("no"), "TASK_NOT_FOUND"));
  const std::string error_info =
      "\x0a\x0eTASK_NOT_FOUND\x12\x09"
      "apium.dev";
  const std::string any =
      "\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x1b" + error_info;
  EXPECT_EQ(status.error_details(), "\x08\x05\x12\x02no\x1a\x47" + any);
}

TEST(GrpcStatusTest, EveryErrorCarriesExactlyOneErrorInfo) {
  const rpc::v1::Status details =
      DetailsOf(ToGrpcStatus(absl::AbortedError("x")));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(),
            "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_THAT(FromGrpcStatus(ToGrpcStatus(absl::AbortedError("x"))),
              HasReason("ABORTED"));
}

TEST(GrpcStatusTest, LeavesOutPayloadsThatAreNotForTheWire) {
  absl::Status status = absl::AbortedError("x");
  status.SetPayload("internal.example/secret", absl::Cord("hidden"));
  EXPECT_EQ(DetailsOf(ToGrpcStatus(status)).details_size(), 1);
}

TEST(GrpcStatusTest, StaysWithinWhatATrailerTakes) {
  absl::Status status = InvalidField("a", std::string(100'000, 'x'));
  for (int i = 0; i < 100; ++i)
    status = WithFieldViolation(status, std::string(1000, 'f'),
                                std::string(1000, 'd'));
  const grpc::Status sent = ToGrpcStatus(status);
  EXPECT_LE(sent.error_message().size() + sent.error_details().size(), 8000u);
  EXPECT_THAT(FromGrpcStatus(sent), HasReason("INVALID_FIELD"));
}

TEST(GrpcStatusTest, MakesTheMessageValidUtf8) {
  EXPECT_EQ(ToGrpcStatus(absl::InternalError("bad \xff byte")).error_message(),
            "bad ? byte");
}

TEST(GrpcStatusTest, KeepsCodeAndMessageWhenDetailsAreGarbage) {
  const grpc::Status garbage(grpc::StatusCode::ABORTED, "try again",
                             "\xff\xff\xff");
  EXPECT_THAT(FromGrpcStatus(garbage),
              StatusIs(absl::StatusCode::kAborted, "try again"));
}

TEST(GrpcStatusTest, ACodeThatItDoesNotKnowIsAnError) {
  rpc::v1::Status odd;
  odd.set_code(77);
  EXPECT_THAT(StatusFromProto(odd), StatusIs(absl::StatusCode::kUnknown));
}

TEST(GrpcStatusTest, StatusesInsideAMessageSurviveTheRoundTrip) {
  rpc::v1::Status proto;
  StatusToProto(InvalidField("tasks[3].queue", "it is empty"), &proto);
  EXPECT_EQ(proto.code(), 3);
  EXPECT_THAT(FieldViolationsOf(StatusFromProto(proto)),
              ElementsAre(Pair("tasks[3].queue", "it is empty")));
  StatusToProto(absl::OkStatus(), &proto);
  EXPECT_EQ(proto.ByteSizeLong(), 0u);
  EXPECT_THAT(StatusFromProto(proto), IsOk());
}

}  // namespace
}  // namespace apium
