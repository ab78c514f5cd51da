#include "broker/storage/routing_codec.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"

namespace apium::broker {
namespace {

std::string Hex(const std::string& bytes) {
  return absl::BytesToHexString(bytes);
}

Exchange FullExchange() {
  Exchange exchange;
  exchange.type = ExchangeType::kTopic;
  exchange.description = "d";
  exchange.alternate_exchange = "a";
  exchange.revision = 3;
  exchange.create_time = absl::FromUnixNanos(5);
  return exchange;
}

StoredBinding FullBinding() {
  return {.namespace_name = "n",
          .binding = {.exchange = "e",
                      .queue = "q",
                      .routing_key = "k",
                      .headers = {{"a", "1"}, {"b", ""}},
                      .match_any = true}};
}

TEST(RoutingCodecTest, BytesStayAsTheyAre) {
  EXPECT_EQ(Hex(EncodeExchange(FullExchange())),
            "08021201641a0161200328"
            "05");
  EXPECT_EQ(Hex(EncodeBinding(FullBinding())),
            "0a016e1201651a01712a016b32060a01611201313203"
            "0a01623801");
  EXPECT_EQ(
      Hex(EncodeRouteRules(
          {.revision = 2, .rules = {{.type_pattern = "*", .queue = "q"}}})),
      "080212060a012a120171");
}

TEST(RoutingCodecTest, ValuesReadBackWhole) {
  const auto exchange = DecodeExchange(EncodeExchange(FullExchange()));
  ASSERT_TRUE(exchange.ok());
  EXPECT_EQ(EncodeExchange(*exchange), EncodeExchange(FullExchange()));
  const auto binding = DecodeBinding(EncodeBinding(FullBinding()));
  ASSERT_TRUE(binding.ok());
  EXPECT_EQ(binding->namespace_name, "n");
  EXPECT_EQ(binding->binding, FullBinding().binding);
  StoredBinding to_exchange = {
      .namespace_name = "n",
      .binding = {.exchange = "e", .destination_exchange = "f"}};
  EXPECT_EQ(DecodeBinding(EncodeBinding(to_exchange))->binding,
            to_exchange.binding);
  const StoredRouteRules rules = {
      .revision = 7,
      .rules = {{.type_pattern = "a.*", .queue = "q"},
                {.type_pattern = "?", .queue = "r"}}};
  const auto back = DecodeRouteRules(EncodeRouteRules(rules));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->revision, 7u);
  EXPECT_EQ(back->rules, rules.rules);
}

TEST(RoutingCodecTest, DamagedRowsAreNotRead) {
  const auto is_lost = [](const absl::Status& status) {
    return absl::IsDataLoss(status);
  };
  EXPECT_TRUE(is_lost(DecodeExchange("").status()));
  EXPECT_TRUE(is_lost(DecodeExchange("\x08\x05").status()));
  EXPECT_TRUE(is_lost(DecodeExchange("\xff").status()));
  EXPECT_TRUE(is_lost(DecodeBinding("").status()));
  StoredBinding nowhere = FullBinding();
  nowhere.binding.queue.clear();
  EXPECT_TRUE(is_lost(DecodeBinding(EncodeBinding(nowhere)).status()));
  StoredBinding twofold = FullBinding();
  twofold.binding.destination_exchange = "f";
  EXPECT_TRUE(is_lost(DecodeBinding(EncodeBinding(twofold)).status()));
  EXPECT_TRUE(is_lost(DecodeRouteRules("").status()));
  EXPECT_TRUE(is_lost(DecodeRouteRules("\xff").status()));
}

}  // namespace
}  // namespace apium::broker
