#include "results/row_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

using ::testing::HasSubstr;

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) {
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

TEST(RowFormatTest, KeysAreTheseBytes) {
  EXPECT_EQ(OutcomeKey("ns", "id"), std::string("Ons\0id", 6));
  EXPECT_EQ(LogKey("ns", 0x0102030405060708),
            std::string("Lns\0", 4) + Bytes({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(HeadKey("ns"), "Nns");
  EXPECT_EQ(ShardKey("s-1"), "Cs-1");
  EXPECT_EQ(StoreKey(), "I");
}

TEST(RowFormatTest, LogKeysSortByPosition) {
  EXPECT_LT(LogKey("ns", 255), LogKey("ns", 256));
  EXPECT_LT(LogKey("ns", ~0ull), LogKey("ns2", 0));
  EXPECT_THAT(PositionOfLogKey(LogKey("ns", 256)), IsOkAndHolds(256u));
}

TEST(RowFormatTest, OutcomeValueIsTheseBytes) {
  std::string value = "left over";
  StartOutcomeValue(0x0201, 0x0403, &value);
  value += "outcome";
  EXPECT_EQ(value, Bytes({1, 2, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0}) +
                       "outcome");
  const auto row = ParseOutcomeValue("k", value);
  APIUM_ASSERT_OK(row);
  EXPECT_EQ(row->expire_ms, 0x0201);
  EXPECT_EQ(row->position, 0x0403u);
  EXPECT_EQ(row->outcome, "outcome");
}

TEST(RowFormatTest, PositionValueIsTheseBytes) {
  EXPECT_EQ(PositionValue(0x0102), Bytes({2, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_THAT(ParsePositionValue("k", PositionValue(77)), IsOkAndHolds(77u));
  EXPECT_THAT(ParsePositionValue("Nx", "short"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("Nx")));
}

// Two entries that share queue, type and TTL, and a third that shares nothing.
std::string ThreeEntries(LogRowBuilder* builder) {
  builder->Start(1000);
  builder->Add({.state = 6,
                .task_id = "a",
                .queue = "q",
                .type = "t",
                .ttl_ms = 300,
                .finish_ns = 1'000'000'000 - 1,
                .size = 5});
  builder->Add({.state = 7,
                .task_id = "bc",
                .queue = "q",
                .type = "t",
                .ttl_ms = 300,
                .finish_ns = 1'000'000'000 + 1,
                .size = 200});
  builder->Add({.state = 6,
                .task_id = "d",
                .queue = "",
                .type = "u",
                .ttl_ms = 500,
                .finish_ns = 1'000'000'000,
                .size = 0});
  return std::string(builder->Finish());
}

TEST(RowFormatTest, LogValueIsTheseBytes) {
  LogRowBuilder builder;
  const std::string expected =
      Bytes({0xdc, 0x05, 0, 0, 0, 0, 0, 0}) +  // expires at 1500
      Bytes({0xe8, 0x03, 0, 0, 0, 0, 0, 0}) +  // recorded at 1000
      Bytes({3}) + Bytes({0, 6, 1, 'a', 1, 'q', 1, 't', 0xac, 2, 1, 5}) +
      Bytes({7, 7, 2, 'b', 'c', 2, 0xc8, 1}) +
      Bytes({0, 6, 1, 'd', 0, 1, 'u', 0xf4, 3, 0, 0});
  EXPECT_EQ(ThreeEntries(&builder), expected);
  // And again with what the builder remembers.
  EXPECT_EQ(ThreeEntries(&builder), expected);
}

TEST(RowFormatTest, LogValueIsParsedBack) {
  LogRowBuilder builder;
  const std::string value = ThreeEntries(&builder);
  LogRow row;
  APIUM_ASSERT_OK(ParseLogValue("k", value, &row));
  EXPECT_EQ(row.expire_ms, 1500);
  EXPECT_EQ(row.recorded_ms, 1000);
  ASSERT_EQ(row.entries.size(), 3u);
  EXPECT_EQ(row.entries[0].task_id, "a");
  EXPECT_EQ(row.entries[0].finish_ns, 999'999'999);
  EXPECT_EQ(row.entries[1].task_id, "bc");
  EXPECT_EQ(row.entries[1].queue, "q");
  EXPECT_EQ(row.entries[1].type, "t");
  EXPECT_EQ(row.entries[1].state, 7);
  EXPECT_EQ(row.entries[1].size, 200u);
  EXPECT_EQ(row.ExpireMsOf(row.entries[1]), 1300);
  EXPECT_EQ(row.entries[2].queue, "");
  EXPECT_EQ(row.ExpireMsOf(row.entries[2]), 1500);
}

TEST(RowFormatTest, TimesAtTheEdgeSurvive) {
  LogRowBuilder builder;
  for (const int64_t finish_ns :
       {std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max(), int64_t{0}}) {
    builder.Start(1'700'000'000'000);
    builder.Add({.state = 6, .task_id = "a", .finish_ns = finish_ns});
    LogRow row;
    APIUM_ASSERT_OK(ParseLogValue("k", builder.Finish(), &row));
    EXPECT_EQ(row.entries[0].finish_ns, finish_ns);
  }
}

TEST(RowFormatTest, LogValueThatIsCutOrTooLongIsDamaged) {
  LogRowBuilder builder;
  const std::string value = ThreeEntries(&builder);
  LogRow row;
  for (size_t size = 0; size < value.size(); ++size) {
    EXPECT_THAT(ParseLogValue("Lkey", value.substr(0, size), &row),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr("Lkey")))
        << size;
  }
  EXPECT_THAT(ParseLogValue("Lkey", value + "x", &row),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(RowFormatTest, OnlyOutcomesAndLogRowsExpire) {
  std::string value;
  StartOutcomeValue(1000, 1, &value);
  EXPECT_FALSE(IsExpiredRow(OutcomeKey("ns", "a"), value, 999));
  EXPECT_TRUE(IsExpiredRow(OutcomeKey("ns", "a"), value, 1000));
  EXPECT_TRUE(IsExpiredRow(LogKey("ns", 1), value, 1000));
  EXPECT_FALSE(IsExpiredRow(HeadKey("ns"), PositionValue(1), 1000));
  EXPECT_FALSE(IsExpiredRow(ShardKey("s"), PositionValue(1), 1000));
  EXPECT_FALSE(IsExpiredRow(StoreKey(), std::string(8, '\0'), 1000));
  EXPECT_FALSE(
      IsExpiredRow(std::string("\0identity", 9), std::string(8, '\0'), 1000));
  EXPECT_FALSE(IsExpiredRow(OutcomeKey("ns", "a"), "damaged", 1000));
}

}  // namespace
}  // namespace apium::results
