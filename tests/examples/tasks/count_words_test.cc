#include "examples/tasks/count_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/status_matchers.h"
#include "worker/attempt.h"
#include "worker/task_error.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

WordCounts Count(const std::string& text) {
  std::istringstream stream(text);
  return CountWords(stream);
}

absl::StatusOr<WordCounts> CountFile(const std::string& path) {
  Attempt attempt(nullptr, v1::Lease(), std::make_shared<v1::Delivery>());
  const std::string worker_id = "w1";
  TaskContext context(&attempt, &worker_id);
  return CountWordsOfFile(context, path);
}

TEST(CountWordsTest, CountsRunsOfLettersWithoutRegardToCase) {
  EXPECT_THAT(Count("The cat, the CAT's hat; 2cats"),
              ElementsAre(Pair("cat", 2), Pair("cats", 1), Pair("hat", 1),
                          Pair("s", 1), Pair("the", 2)));
}

TEST(CountWordsTest, OtherBytesSeparateWords) {
  EXPECT_THAT(Count("na\xC3\xAFve\n\x00\xff"),
              ElementsAre(Pair("na", 1), Pair("ve", 1)));
  EXPECT_THAT(Count(""), IsEmpty());
}

TEST(CountWordsTest, ReadsAFile) {
  const std::string path =
      std::string(std::getenv("TEST_TMPDIR")) + "/words.txt";
  std::ofstream(path) << "a b a";
  EXPECT_THAT(CountFile(path),
              IsOkAndHolds(ElementsAre(Pair("a", 2), Pair("b", 1))));
}

TEST(CountWordsTest, AMissingFileFailsForGoodAndIsNamed) {
  const absl::Status status = CountFile("/no/such/file").status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               HasSubstr("\"/no/such/file\"")));
  EXPECT_TRUE(IsNonRetryable(status));
}

TEST(CountWordsTest, WhatIsNoFileIsABadArgument) {
  EXPECT_EQ(FailureTypeOf(CountFile("").status()), failure_type::kBadArguments);
  EXPECT_EQ(FailureTypeOf(CountFile("/").status()),
            failure_type::kBadArguments);
}

}  // namespace
}  // namespace apium
