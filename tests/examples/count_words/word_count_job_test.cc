#include "examples/count_words/word_count_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "client/json_payload.h"
#include "client/task_client.h"
#include "tests/client/fake_broker.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string NewFolder(const std::string& name) {
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

v1::TaskOutcome Succeeded(const nlohmann::json& result) {
  v1::TaskOutcome outcome;
  outcome.set_state(v1::TASK_STATE_SUCCEEDED);
  *outcome.mutable_result() = JsonPayload(result);
  return outcome;
}

TEST(FilesBelowTest, FindsRegularFilesInAllSubfoldersAndNoLinks) {
  const std::string folder = NewFolder("files_below");
  std::filesystem::create_directory(folder + "/sub");
  std::ofstream(folder + "/b.txt") << "b";
  std::ofstream(folder + "/sub/a.txt") << "a";
  std::filesystem::create_symlink(folder + "/b.txt", folder + "/link");
  absl::StatusOr<std::vector<std::string>> files = FilesBelow(folder);
  ASSERT_THAT(files, IsOk());
  EXPECT_THAT(*files, ElementsAre(folder + "/b.txt", folder + "/sub/a.txt"));
}

TEST(FilesBelowTest, SaysWhatIsWrongWithTheFolder) {
  EXPECT_THAT(
      FilesBelow("/no/such/folder"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/folder")));
  EXPECT_THAT(FilesBelow(NewFolder("empty")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("there is no file in the folder")));
}

TEST(WordTotalsTest, AddsUpAndSortsByFrequencyThenAlphabet) {
  WordTotals totals;
  totals.Add("f", Succeeded({{"the", 2}, {"b", 1}, {"a", 1}}));
  totals.Add("g", Succeeded({{"the", 3}}));
  EXPECT_THAT(totals.MostFrequent(2),
              ElementsAre(Pair("the", 5), Pair("a", 1)));
  EXPECT_THAT(totals.MostFrequent(9),
              ElementsAre(Pair("the", 5), Pair("a", 1), Pair("b", 1)));
  EXPECT_EQ(totals.words(), 7);
  EXPECT_EQ(totals.finished(), 2u);
}

TEST(WordTotalsTest, KeepsWhatFailedWithItsFile) {
  WordTotals totals;
  v1::TaskOutcome failed;
  failed.set_task_id("id");
  failed.set_state(v1::TASK_STATE_FAILED);
  failed.mutable_failure()->set_message("cannot read");
  totals.Add("f", failed);
  totals.Add("g", Succeeded("not a map"));
  totals.AddRefused("h", absl::NotFoundError("no queue"));
  ASSERT_EQ(totals.failed().size(), 3u);
  EXPECT_EQ(totals.failed()[0].path, "f");
  EXPECT_THAT(totals.failed()[0].error, HasSubstr("cannot read"));
  EXPECT_THAT(totals.failed()[1].error, HasSubstr("no word counts"));
  EXPECT_THAT(totals.failed()[2].error, HasSubstr("no queue"));
}

TEST(CountWordsOfFilesTest, SubmitsATaskForEachFileAndWaitsForAll) {
  FakeBroker broker;
  broker.FinishTasksAtOnce();
  std::unique_ptr<TaskClient> client =
      *TaskClient::Connect(broker.ClientOptionsForTest());
  std::ostringstream out;
  Progress progress(&out, Progress::Style::kLines, 2);
  absl::StatusOr<WordCountReport> report =
      CountWordsOfFiles(client.get(), {"/f", "/g"}, &progress, &out);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->tasks, 2u);
  EXPECT_EQ(report->totals.finished(), 2u);
  ASSERT_EQ(broker.tasks().size(), 2u);
  EXPECT_EQ(broker.tasks()[0].spec().type(), "text.count_words");
  EXPECT_EQ(broker.tasks()[0].spec().payload().data(), R"({"args":["/f"]})");
  EXPECT_THAT(out.str(), HasSubstr("2 of 2 tasks done\n"));
}

}  // namespace
}  // namespace apium
