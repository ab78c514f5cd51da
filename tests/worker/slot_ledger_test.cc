#include "worker/slot_ledger.h"

#include <gtest/gtest.h>

namespace apium {
namespace {

TEST(SlotLedgerTest, OneBrokerGetsEverything) {
  SlotLedger ledger(8, 1);
  EXPECT_EQ(ledger.share(), 8u);
  EXPECT_EQ(ledger.Take(0, 5), 5u);
  EXPECT_EQ(ledger.Take(0, 5), 3u);
  EXPECT_EQ(ledger.Take(0, 1), 0u);
  ledger.Give(0, 2);
  EXPECT_EQ(ledger.Take(0, 5), 2u);
}

TEST(SlotLedgerTest, ABusyBrokerTakesWhatIsNotReserved) {
  SlotLedger ledger(8, 2);
  EXPECT_EQ(ledger.share(), 2u);
  EXPECT_EQ(ledger.Take(0, 100), 6u);
  EXPECT_EQ(ledger.Take(1, 100), 2u) << "the share of the other is kept";
}

TEST(SlotLedgerTest, TellsThatAnotherWaitsWhenPlacesBecomeFree) {
  SlotLedger ledger(8, 2);
  ledger.Take(0, 6);
  EXPECT_FALSE(ledger.Give(0, 1)) << "nobody waits";
  ledger.Take(0, 1);
  EXPECT_EQ(ledger.Take(1, 3), 2u);
  EXPECT_TRUE(ledger.Give(0, 1));
  EXPECT_EQ(ledger.Take(1, 1), 1u);
}

TEST(SlotLedgerTest, PlacesOfTheShareStayReservedWhenGivenBack) {
  SlotLedger ledger(8, 2);
  EXPECT_EQ(ledger.Take(0, 2), 2u);
  EXPECT_FALSE(ledger.Give(0, 2));
  EXPECT_EQ(ledger.Take(1, 100), 6u);
  EXPECT_EQ(ledger.Take(0, 2), 2u);
}

TEST(SlotLedgerTest, EachOfManyBrokersGetsAPlace) {
  SlotLedger ledger(1, 3);
  for (size_t broker = 0; broker < 3; ++broker) {
    EXPECT_EQ(ledger.Take(broker, 5), 1u);
  }
}

}  // namespace
}  // namespace apium
