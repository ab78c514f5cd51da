#include "broker/storage/key_format.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace apium::broker {
namespace {

std::string Hex(const std::string& bytes) {
  return absl::BytesToHexString(bytes);
}

TEST(KeyFormatTest, BytesOfEveryRowStayAsTheyAre) {
  EXPECT_EQ(Hex(TaskRowKey(MakeTaskKey("ns", "id"))), "546e73006964");
  EXPECT_EQ(Hex(ReadyRowKey({.queue_id = 1, .type_id = 2, .priority = 255}, 3)),
            "5200000001000000020000000000000000000000000000000000"
            "0000000000000003");
  EXPECT_EQ(Hex(LaneRowKey({.queue_id = 1, .type_id = 2, .priority = 0})),
            "430000000100000002ff00000000000000000000000000000000");
  EXPECT_EQ(Hex(TimerRowKey({.due_millis = 258,
                             .kind = TimerKind::kExpiry,
                             .task_key = MakeTaskKey("n", "i")})),
            "440000000000000102026e0069");
  EXPECT_EQ(Hex(LeaseRowKey(7)), "4c0000000000000007");
  EXPECT_EQ(Hex(OutboxRowKey(7)), "4f0000000000000007");
  EXPECT_EQ(Hex(QueueRowKey("n", "q")), "516e0071");
  EXPECT_EQ(Hex(TypeRowKey(9)), "5900000009");
  EXPECT_EQ(Hex(CountRowKey(9)), "5300000009");
  EXPECT_EQ(Hex(MetaRowKey("ticket")), "4d7469636b6574");
  EXPECT_EQ(Hex(BatchRowKey(BatchPart::kState, MakeTaskKey("n", "b"))),
            "47536e0062");
  EXPECT_EQ(Hex(BatchRowKey(BatchPart::kCallbacks, MakeTaskKey("n", "b"))),
            "47436e0062");
  EXPECT_EQ(Hex(LimitRowKey("n", "l")), "566e006c");
  EXPECT_EQ(Hex(ExchangeRowKey(MakeTaskKey("n", "e"))), "46456e0065");
  EXPECT_EQ(Hex(RouteRulesRowKey("n")), "46526e");
  EXPECT_EQ(Hex(BindingRowKey(258)), "480000000000000102");
  EXPECT_EQ(Hex(LimitStateRowKey("n", "l", "k")), "5a6e006c006b");
  EXPECT_EQ(Hex(EncodeNumber(0x0102030405060708)), "0102030405060708");
}

TEST(KeyFormatTest, RowsOfRoutingAreToldApart) {
  EXPECT_EQ(ExchangeOfRow(ExchangeRowKey("ne")).value_or(""), "ne");
  EXPECT_EQ(NamespaceOfRouteRulesRow(RouteRulesRowKey("n")).value_or(""), "n");
  EXPECT_FALSE(ExchangeOfRow(RouteRulesRowKey("n")).has_value());
  EXPECT_FALSE(NamespaceOfRouteRulesRow(ExchangeRowKey("ne")).has_value());
  EXPECT_EQ(NumberOfRow(BindingRowKey(258)), 258u);
}

TEST(KeyFormatTest, NamesOfLimitsReadBack) {
  const auto limit = LimitOfRow(LimitRowKey("n", "l"));
  ASSERT_TRUE(limit.has_value());
  EXPECT_EQ(limit->namespace_name, "n");
  EXPECT_EQ(limit->limit, "l");
  EXPECT_EQ(limit->key, "");
  for (const char* key : {"", "k"}) {
    const auto state = LimitOfRow(LimitStateRowKey("n", "l", key));
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->namespace_name, "n");
    EXPECT_EQ(state->limit, "l");
    EXPECT_EQ(state->key, key);
  }
  EXPECT_EQ(LimitOfRow(""), std::nullopt);
  EXPECT_EQ(LimitOfRow("Vn"), std::nullopt);
  EXPECT_EQ(LimitOfRow(std::string("Zn\0l", 4)), std::nullopt);
  EXPECT_EQ(LimitOfRow(QueueRowKey("n", "q")), std::nullopt);
}

TEST(KeyFormatTest, ReadyRowsOfALaneSortInDispatchOrder) {
  const LaneId high{.queue_id = 1, .type_id = 1, .priority = 200};
  const LaneId low{.queue_id = 1, .type_id = 1, .priority = 100};
  const std::vector<std::string> sorted = {
      ReadyRowKey(high, 5), ReadyRowKey(high, 256), ReadyRowsEnd(high),
      ReadyRowKey(low, 1)};
  for (size_t i = 1; i < sorted.size(); ++i) {
    EXPECT_LT(sorted[i - 1], sorted[i]) << i;
  }
}

TEST(KeyFormatTest, TimerRowsSortByTime) {
  const auto key = [](int64_t millis, const char* id) {
    return TimerRowKey({.due_millis = millis, .task_key = id});
  };
  EXPECT_LT(key(255, "z"), key(256, "a"));
  EXPECT_LT(key(256, "a"), key(256, "b"));
}

TEST(KeyFormatTest, KeysReadBack) {
  const LaneId lane{.queue_id = 70000, .type_id = 3, .priority = 17};
  EXPECT_EQ(SequenceOfReadyRow(ReadyRowKey(lane, 99)), 99u);
  EXPECT_EQ(LaneOfLaneRow(LaneRowKey(lane)), lane);
  const TimerId timer{.due_millis = 1234567890123,
                      .kind = TimerKind::kReady,
                      .task_key = MakeTaskKey("ns", "id")};
  EXPECT_EQ(TimerOfRow(TimerRowKey(timer)), timer);
  EXPECT_EQ(NumberOfRow(OutboxRowKey(42)), 42u);
  const auto queue = QueueOfRow(QueueRowKey("ns", "q"));
  ASSERT_TRUE(queue.has_value());
  EXPECT_EQ(queue->namespace_name, "ns");
  EXPECT_EQ(queue->queue, "q");
  EXPECT_EQ(IdOfTypeRow(TypeRowKey(5)), 5u);
  const auto blocked = BlockedTaskOfRow(
      BlockedRowKey({.queue_id = 258, .task_key = MakeTaskKey("ns", "id")}));
  ASSERT_TRUE(blocked.has_value());
  EXPECT_EQ(blocked->queue_id, 258u);
  EXPECT_EQ(blocked->task_key, MakeTaskKey("ns", "id"));
  EXPECT_EQ(DecodeNumber(EncodeNumber(77)), 77u);
  const OrderingLineId line = {.queue_id = 258, .key = "k"};
  EXPECT_EQ(LineOfUnsettledRow(UnsettledRowKey(line)), line);
  EXPECT_EQ(TicketOfMemberRow(OrderingMemberRowKey(line, 77)), 77u);
}

TEST(KeyFormatTest, LinesOfOrderingKeysSortByTicketAndDoNotMix) {
  const OrderingLineId line = {.queue_id = 1, .key = "k"};
  const OrderingLineId longer = {.queue_id = 1, .key = "k2"};
  EXPECT_EQ(OrderingRowKey(line), std::string("A\0\0\0\1k", 6));
  EXPECT_EQ(UnsettledRowKey(line), std::string("A\0\0\0\0\0\0\0\1k", 10));
  EXPECT_EQ(OrderingMemberRowKey(line, 2),
            std::string("N\0\0\0\1k\0\0\0\0\0\0\0\0\2", 15));
  EXPECT_LT(OrderingMemberRowKey(line, 255), OrderingMemberRowKey(line, 256));
  EXPECT_LT(OrderingMemberRowKey(line, ~uint64_t{0}),
            OrderingMemberRowKey(longer, 0));
  EXPECT_LT(UnsettledRowKey({.queue_id = ~uint32_t{0}, .key = "z"}),
            OrderingRowKey({.queue_id = 1}));
}

TEST(KeyFormatTest, DamagedKeysAreNotRead) {
  EXPECT_FALSE(SequenceOfReadyRow("R").has_value());
  EXPECT_FALSE(LaneOfLaneRow(LaneRowKey({}) + "x").has_value());
  EXPECT_FALSE(TimerOfRow("D").has_value());
  std::string timer = TimerRowKey({.due_millis = 1, .task_key = "x"});
  timer[9] = 9;
  EXPECT_FALSE(TimerOfRow(timer).has_value());
  EXPECT_FALSE(NumberOfRow("O123").has_value());
  EXPECT_FALSE(QueueOfRow("Qnozero").has_value());
  EXPECT_FALSE(IdOfTypeRow("Y").has_value());
  EXPECT_FALSE(BlockedTaskOfRow("W1234").has_value());
  EXPECT_FALSE(LineOfUnsettledRow("A").has_value());
  EXPECT_FALSE(
      LineOfUnsettledRow(OrderingRowKey({.queue_id = 1, .key = "long key"}))
          .has_value());
  EXPECT_FALSE(TicketOfMemberRow("N12345678").has_value());
  EXPECT_FALSE(DecodeNumber("short").has_value());
}

TEST(KeyFormatTest, RowsEndLiesBehindEveryRowOfTheKind) {
  EXPECT_LT(OutboxRowKey(~uint64_t{0}), RowsEnd(kOutboxRow));
  EXPECT_LT(TaskRowKey(std::string(100, '\xff')), RowsEnd(kTaskRow));
}

}  // namespace
}  // namespace apium::broker
