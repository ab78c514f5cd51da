#include "broker/service/wait_reason_to_proto.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "apium/v1/explain.pb.h"

namespace apium::broker {
namespace {

std::string Text(WaitReason reason) {
  v1::WaitReason proto;
  WaitReasonToProto(std::move(reason), &proto);
  std::string text;
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  printer.PrintToString(proto, &text);
  return text;
}

TEST(WaitReasonToProtoTest, WhatIsNotKnownIsLeftOut) {
  EXPECT_EQ(Text({.kind = WaitReasonKind::kNoWorker, .text = "nobody"}),
            R"(kind: WAIT_REASON_KIND_NO_WORKER text: "nobody" )");
}

TEST(WaitReasonToProtoTest, EveryFieldArrives) {
  EXPECT_EQ(
      Text({.kind = WaitReasonKind::kConcurrencyLimit,
            .text = "full",
            .until = absl::FromUnixSeconds(7),
            .since = absl::FromUnixSeconds(3),
            .task_ids = {"a", "b"},
            .ahead = 5,
            .estimate = true,
            .limit = "smtp",
            .limit_key = "42",
            .usage = 2,
            .capacity = 2.5,
            .tasks = 9,
            .blocked_time = absl::Milliseconds(1500)}),
      R"(kind: WAIT_REASON_KIND_CONCURRENCY_LIMIT text: "full" )"
      R"(until { seconds: 7 } since { seconds: 3 } task_ids: "a" task_ids: "b" )"
      R"(ahead: 5 estimate: true limit: "smtp" limit_key: "42" usage: 2 )"
      R"(capacity: 2.5 tasks: 9 blocked_time { seconds: 1 nanos: 500000000 } )");
}

TEST(WaitReasonToProtoTest, KindsHaveTheNumbersOfTheApi) {
  WaitReason last{.kind = WaitReasonKind::kBusy};
  v1::WaitReason proto;
  WaitReasonToProto(std::move(last), &proto);
  EXPECT_EQ(proto.kind(), v1::WAIT_REASON_KIND_BUSY);
  EXPECT_EQ(static_cast<int>(v1::WaitReasonKind_MAX),
            static_cast<int>(WaitReasonKind::kBusy));
}

}  // namespace
}  // namespace apium::broker
