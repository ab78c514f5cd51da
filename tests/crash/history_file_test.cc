#include "tests/crash/history_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/strings.h"
#include "tests/support/status_matchers.h"

namespace apium::crash {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(HistoryFileTest, ReadsBackWhatAWorkerWrote) {
  const std::string path = StrCat(::testing::TempDir(), "/history");
  ExecutionRecord first{
      .task_id = "a", .attempt = 2, .epoch = 7, .token = "9/7/1"};
  ExecutionRecord second{
      .task_id = "b", .attempt = 1, .epoch = 8, .token = "9/8/2"};
  {
    HistoryWriter writer(path);
    writer.Start(&first);
    writer.Start(&second);
    writer.End(ExecutionRecord::End::kFailed, &first);
  }
  const auto executions = ReadHistoryFile(path, "w.1");
  APIUM_ASSERT_OK(executions);
  ASSERT_THAT(*executions, SizeIs(2));
  const ExecutionRecord& read = executions->at(0);
  EXPECT_EQ(read.task_id, "a");
  EXPECT_EQ(read.attempt, 2u);
  EXPECT_EQ(read.epoch, 7u);
  EXPECT_EQ(read.worker, "w.1");
  EXPECT_EQ(read.token, "9/7/1");
  EXPECT_EQ(read.start, first.start);
  EXPECT_EQ(read.start_time, first.start_time);
  EXPECT_EQ(read.end, ExecutionRecord::End::kFailed);
  EXPECT_EQ(read.end_moment, first.end_moment);
  EXPECT_EQ(executions->at(1).task_id, "b");
  EXPECT_EQ(executions->at(1).end, ExecutionRecord::End::kNone);
}

TEST(HistoryFileTest, AWorkerThatDiedBeforeItsFirstTaskHasNoHistory) {
  EXPECT_THAT(ReadHistoryFile(StrCat(::testing::TempDir(), "/none"), "w.1"),
              IsOkAndHolds(IsEmpty()));
}

TEST(HistoryFileTest, ALastLineThatWasCutShortIsLeftOut) {
  EXPECT_THAT(ParseHistory("start a 1 1 t 5 6\nend t succ", "w.1"),
              IsOkAndHolds(SizeIs(1)));
  EXPECT_THAT(ParseHistory("start a 1 1 t 5", "w.1"), IsOkAndHolds(IsEmpty()));
}

TEST(HistoryFileTest, ALineThatIsWrongIsAnError) {
  for (const char* line :
       {"begin a", "start a 1 1 t 5", "start a x 1 t 5 6", "end t succeeded 7",
        "start a 1 1 t 5 6\nend t died 7", ""}) {
    EXPECT_THAT(ParseHistory(StrCat(line, "\n"), "w.1"),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("history of w.1")))
        << line;
  }
}

TEST(HistoryFileTest, TwoStartsWithOneTokenAreAnError) {
  EXPECT_FALSE(
      ParseHistory("start a 1 1 t 5 6\nstart b 1 2 t 5 6\n", "w.1").ok());
}

}  // namespace
}  // namespace apium::crash
