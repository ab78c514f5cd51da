#include "common/rpc/message_bytes.h"

#include <gmock/gmock.h>
#include <google/protobuf/duration.pb.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

grpc::ByteBuffer BytesOf(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

TEST(MessageBytesTest, AMessageComesBack) {
  google::protobuf::Duration message;
  message.set_seconds(7);
  grpc::ByteBuffer bytes = BytesOf("what was written before");
  SerializeMessage(message, &bytes);
  google::protobuf::Duration parsed;
  parsed.set_nanos(1);
  APIUM_ASSERT_OK(ParseMessage(&bytes, &parsed));
  EXPECT_EQ(parsed.seconds(), 7);
  EXPECT_EQ(parsed.nanos(), 0);
}

TEST(MessageBytesTest, AnEmptyMessageIsAMessage) {
  grpc::ByteBuffer bytes;
  SerializeMessage(google::protobuf::Duration(), &bytes);
  google::protobuf::Duration parsed;
  APIUM_EXPECT_OK(ParseMessage(&bytes, &parsed));
}

TEST(MessageBytesTest, OtherBytesAreRefused) {
  grpc::ByteBuffer bytes = BytesOf("\x07\xff\xffgarbage");
  google::protobuf::Duration parsed;
  EXPECT_THAT(ParseMessage(&bytes, &parsed),
              AllOf(HasReason("PROTOCOL_VIOLATION"),
                    StatusIs(absl::StatusCode::kInvalidArgument,
                             HasSubstr("10 bytes came that is no "
                                       "google.protobuf.Duration"))));
}

}  // namespace
}  // namespace apium
