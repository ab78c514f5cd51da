#include "common/fingerprint.h"

#include <gtest/gtest.h>

#include <string>

namespace apium {
namespace {

std::string Hex(const std::string& bytes) {
  std::string hex;
  for (unsigned char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

// Stored fingerprints must be recognised by every later version: these values
// never change.
TEST(FingerprintTest, IsStableForEver) {
  EXPECT_EQ(Hex(FingerprintToBytes(FingerprintBuilder().Finish())),
            "99aa06d3014798d86001c324468d497f");
  FingerprintBuilder builder;
  builder.AddBytes("text.count_words")
      .AddUint64(7)
      .AddInt64(-1)
      .AddBool(true)
      .AddBytes("");
  EXPECT_EQ(Hex(FingerprintToBytes(builder.Finish())),
            "56a27b45e1452bd78584f80d80734d1b");
  EXPECT_EQ(StableHash64("apium"), 9903252451702177038ull);
}

TEST(FingerprintTest, TellsFieldBoundariesApart) {
  FingerprintBuilder left, right;
  left.AddBytes("ab").AddBytes("c");
  right.AddBytes("a").AddBytes("bc");
  EXPECT_NE(left.Finish(), right.Finish());
}

TEST(FingerprintTest, TellsTypesApart) {
  FingerprintBuilder unsigned_one, signed_one, nothing;
  unsigned_one.AddUint64(1);
  signed_one.AddInt64(1);
  EXPECT_NE(unsigned_one.Finish(), signed_one.Finish());
  EXPECT_NE(unsigned_one.Finish(), nothing.Finish());
}

TEST(FingerprintTest, TellsOrderApart) {
  FingerprintBuilder left, right;
  left.AddBytes("a").AddBytes("b");
  right.AddBytes("b").AddBytes("a");
  EXPECT_NE(left.Finish(), right.Finish());
}

TEST(FingerprintTest, GoesOnAfterFinish) {
  FingerprintBuilder once, twice;
  once.AddBytes(std::string(5000, 'x')).AddBytes("y");
  twice.AddBytes(std::string(5000, 'x'));
  const Fingerprint half = twice.Finish();
  EXPECT_EQ(half, twice.Finish());
  twice.AddBytes("y");
  EXPECT_EQ(once.Finish(), twice.Finish());
}

}  // namespace
}  // namespace apium
