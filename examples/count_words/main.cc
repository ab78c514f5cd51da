// Counts the words of all files of a folder on an Apium platform: a job program
// as an application would write it.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "client/task_client.h"
#include "common/log.h"
#include "common/process_init.h"
#include "common/version.h"
#include "examples/count_words/progress.h"
#include "examples/count_words/word_count_job.h"

namespace {

constexpr size_t kWordsShown = 20;
constexpr size_t kFailuresShown = 20;

int Fail(const absl::Status& status) {
  std::cerr << "count_words: " << std::string(status.message()) << "\n";
  return 1;
}

void PrintReport(const apium::WordCountReport& report) {
  const auto words = report.totals.MostFrequent(kWordsShown);
  std::cout << "The " << words.size() << " most frequent of "
            << report.totals.words() << " words:\n";
  size_t rank = 0;
  for (const auto& [word, count] : words) {
    std::cout << absl::StrFormat("%4d  %-20s %10d\n", ++rank, word, count);
  }
  std::cout << absl::StrFormat("%d tasks, %d failed, %.3f s, %.0f tasks/s\n",
                               report.tasks, report.totals.failed().size(),
                               absl::ToDoubleSeconds(report.elapsed),
                               static_cast<double>(report.tasks) /
                                   absl::ToDoubleSeconds(report.elapsed));
}

void PrintFailures(const std::vector<apium::FailedFile>& failed) {
  for (size_t i = 0; i < failed.size() && i < kFailuresShown; ++i) {
    std::cerr << "failed: " << failed[i].path << ": " << failed[i].error
              << "\n";
  }
  if (failed.size() > kFailuresShown)
    std::cerr << "and " << failed.size() - kFailuresShown << " more\n";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Counts the words of all files in a folder: one text.count_words task "
      "for each file, submitted to an Apium "
      "broker. The workers read the files, so they must see the same folder.");
  std::string broker = "127.0.0.1:7450";
  std::string folder;
  apium::ClientOptions options;
  app.add_option("--broker", broker, "Address of the broker")
      ->envname("APIUM_ADDRESS")
      ->capture_default_str();
  app.add_option("--namespace", options.namespace_name,
                 "Namespace of the tasks")
      ->envname("APIUM_NAMESPACE")
      ->capture_default_str();
  app.add_option("folder", folder, "Folder to count")->required();
  app.set_version_flag("--version", std::string(apium::kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  apium::InitProcess(
      {.service = "count_words", .level = apium::LogLevel::kError});

  const absl::StatusOr<std::vector<std::string>> files =
      apium::FilesBelow(folder);
  if (!files.ok()) return Fail(files.status());
  options.addresses = {broker};
  options.user_agent = "count_words";
  absl::StatusOr<std::unique_ptr<apium::TaskClient>> client =
      apium::TaskClient::Connect(options);
  if (!client.ok()) return Fail(client.status());

  const bool terminal = isatty(STDERR_FILENO) == 1;
  apium::Progress progress(
      &std::cerr,
      terminal ? apium::Progress::Style::kBar : apium::Progress::Style::kLines,
      files->size());
  absl::StatusOr<apium::WordCountReport> report =
      apium::CountWordsOfFiles(client->get(), *files, &progress, &std::cerr);
  if (!report.ok()) return Fail(report.status());
  PrintReport(*report);
  PrintFailures(report->totals.failed());
  return report->totals.failed().empty() ? 0 : 1;
}
