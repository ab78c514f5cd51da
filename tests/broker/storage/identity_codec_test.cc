#include "broker/storage/identity_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

const absl::Time kCreated = absl::FromUnixNanos(1'700'000'000'123'456'789);

TEST(IdentityCodecTest, AUniqueKeyReadsBackWhole) {
  const auto back = DecodeUniqueKey(EncodeUniqueKey(
      {.holder = "a", .holder_create_time = kCreated, .next = "b"}));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->holder, "a");
  EXPECT_EQ(back->holder_create_time, kCreated);
  EXPECT_EQ(back->next, "b");
  EXPECT_EQ(back->window_end_millis, kKeepIdentity);
}

TEST(IdentityCodecTest, AWindowIsKeptForAsLongAsSomebodyWaits) {
  StoredUniqueKey unique = {.holder = "a", .window_end_millis = 258};
  EXPECT_EQ(KeepUntilOf(EncodeUniqueKey(unique)), 258);
  unique.next = "b";
  const std::string value = EncodeUniqueKey(unique);
  EXPECT_EQ(KeepUntilOf(value), kKeepIdentity);
  EXPECT_EQ(DecodeUniqueKey(value)->window_end_millis, 258);
}

TEST(IdentityCodecTest, BytesOfAUniqueKeyStayAsTheyAre) {
  EXPECT_EQ(absl::BytesToHexString(
                EncodeUniqueKey({.holder = "a",
                                 .holder_create_time = absl::FromUnixNanos(5),
                                 .next = "b",
                                 .window_end_millis = 258})),
            "7fffffffffffffff"  // kept while "b" waits
            "0a0161"            // holder
            "1005"              // holder_create_nanos
            "1a0162"            // next
            "208202"            // window_end_millis
  );
}

TEST(IdentityCodecTest, ARequestReadsBackWhole) {
  StoredRequest request;
  request.fingerprint = {.high = 11, .low = 22};
  request.keep_until_millis = 1234;
  request.answers = {
      {.task_id = "a", .create_time = kCreated, .minted = true, .copies = 2},
      {.task_id = "b", .create_time = kCreated, .attached = true}};
  const auto back = DecodeRequest(EncodeRequest(request));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->fingerprint, request.fingerprint);
  EXPECT_EQ(back->keep_until_millis, 1234);
  ASSERT_EQ(back->answers.size(), 2u);
  EXPECT_EQ(back->answers[0].task_id, "a");
  EXPECT_EQ(back->answers[0].create_time, kCreated);
  EXPECT_TRUE(back->answers[0].minted);
  EXPECT_FALSE(back->answers[0].attached);
  EXPECT_EQ(back->answers[0].copies, 2u);
  EXPECT_EQ(back->answers[1].task_id, "b");
  EXPECT_FALSE(back->answers[1].minted);
  EXPECT_TRUE(back->answers[1].attached);
}

TEST(IdentityCodecTest, BytesOfARequestStayAsTheyAre) {
  StoredRequest request;
  request.fingerprint = {.high = 1, .low = 2};
  request.keep_until_millis = 258;
  request.answers = {{.task_id = "a",
                      .create_time = absl::FromUnixNanos(5),
                      .minted = true,
                      .attached = true}};
  EXPECT_EQ(absl::BytesToHexString(EncodeRequest(request)),
            "0000000000000102"
            "090100000000000000"      // fingerprint_high
            "110200000000000000"      // fingerprint_low
            "1a090a0161100518012001"  // answers
  );
}

TEST(IdentityCodecTest, DamagedRowsAreDataLoss) {
  for (const std::string& value :
       {std::string(), std::string(7, 'x'), std::string(8, '\0'),
        std::string(8, '\0') + "\xff"}) {
    EXPECT_EQ(DecodeUniqueKey(value).status().code(),
              absl::StatusCode::kDataLoss);
    EXPECT_EQ(DecodeRequest(value).status().code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(KeepUntilOf("short").has_value());
}

}  // namespace
}  // namespace apium::broker
