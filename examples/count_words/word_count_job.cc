#include "examples/count_words/word_count_job.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/json_payload.h"
#include "client/task_client.h"
#include "client/task_stream.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/uuid.h"

namespace apium {
namespace {

// How often the progress is looked at.
constexpr absl::Duration kRefresh = absl::Milliseconds(100);
// After so long without an outcome, the user is told why.
constexpr absl::Duration kPatience = absl::Seconds(5);

// What the stream's callbacks fill while the main thread shows it.
class SharedTotals {
 public:
  void Expect(const std::string& task_id, const std::string& path) {
    absl::MutexLock lock(&mu_);
    path_of_[task_id] = path;
  }
  void OnAck(const SubmitAck& ack) {
    if (ack.status.ok()) return;
    absl::MutexLock lock(&mu_);
    totals_.AddRefused(TakePath(std::string(ack.task_id)), ack.status);
  }
  void OnOutcome(const v1::TaskOutcome& outcome) {
    absl::MutexLock lock(&mu_);
    totals_.Add(TakePath(outcome.task_id()), outcome);
  }

  void Show(Progress* progress) const {
    absl::MutexLock lock(&mu_);
    progress->Update(totals_.finished(), totals_.failed().size());
  }
  size_t finished() const {
    absl::MutexLock lock(&mu_);
    return totals_.finished();
  }
  // A task without an outcome; empty if there is none.
  std::string Unfinished() const {
    absl::MutexLock lock(&mu_);
    return path_of_.empty() ? "" : path_of_.begin()->first;
  }
  WordTotals Take() {
    absl::MutexLock lock(&mu_);
    return std::move(totals_);
  }

 private:
  std::string TakePath(const std::string& task_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto node = path_of_.extract(task_id);
    return node.empty() ? task_id : std::move(node.mapped());
  }

  mutable absl::Mutex mu_;
  WordTotals totals_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> path_of_
      ABSL_GUARDED_BY(mu_);  // of tasks without an outcome
};

// Says once why the job stands still, as far as the broker knows.
void ExplainStandstill(TaskClient* client, const std::string& task_id,
                       Progress* progress, std::ostream* log) {
  absl::StatusOr<v1::Task> task = client->Get(task_id, v1::TASK_VIEW_BASIC);
  progress->Finish();
  if (!task.ok()) {
    *log << "still waiting: " << task.status().message() << "\n" << std::flush;
  } else if (!task->waiting_reason().empty()) {
    *log << "still waiting: " << task->waiting_reason() << "\n" << std::flush;
  } else {
    *log << "still waiting: task " << task_id << " is "
         << v1::TaskState_Name(task->state()) << "\n"
         << std::flush;
  }
}

absl::Status WaitForOutcomes(TaskClient* client, TaskStream* stream,
                             const SharedTotals& shared, Progress* progress,
                             std::ostream* log) {
  absl::Time last_change = absl::Now();
  size_t last_finished = 0;
  bool explained = false;
  while (true) {
    absl::Status status = stream->Finish(kRefresh);
    shared.Show(progress);
    if (status.code() != absl::StatusCode::kDeadlineExceeded) return status;
    if (const size_t finished = shared.finished(); finished != last_finished) {
      last_finished = finished;
      last_change = absl::Now();
      explained = false;
    }
    if (!explained && absl::Now() - last_change > kPatience) {
      ExplainStandstill(client, shared.Unfinished(), progress, log);
      explained = true;
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::absolute(folder, error);
  if (!std::filesystem::is_directory(root, error)) {
    return absl::NotFoundError(
        StrCat(QuoteForMessage(folder), " is not a folder"));
  }
  std::vector<std::string> files;
  std::filesystem::recursive_directory_iterator entry(
      root, std::filesystem::directory_options::skip_permission_denied, error);
  for (; !error && entry != std::filesystem::end(entry);
       entry.increment(error)) {
    std::error_code ignored;  // a file that vanishes meanwhile is none
    if (!entry->is_symlink(ignored) && entry->is_regular_file(ignored)) {
      files.push_back(entry->path().lexically_normal().string());
    }
  }
  if (error) {
    return absl::UnavailableError(StrCat(
        "reading the folder ", QuoteForMessage(folder), ": ", error.message()));
  }
  if (files.empty()) {
    return absl::FailedPreconditionError(
        StrCat("there is no file in the folder ", QuoteForMessage(folder)));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void WordTotals::Add(const std::string& path, const v1::TaskOutcome& outcome) {
  ++finished_;
  if (absl::Status status = OutcomeStatus(outcome); !status.ok()) {
    failed_.push_back({path, std::string(status.message())});
    return;
  }
  auto counts = DecodeJsonAs<std::map<std::string, int64_t>>(outcome.result());
  if (!counts.ok()) {
    failed_.push_back({path, StrCat("its result is no word counts: ",
                                    std::string(counts.status().message()))});
    return;
  }
  for (const auto& [word, count] : *counts) {
    counts_[word] += count;
    words_ += count;
  }
}

void WordTotals::AddRefused(const std::string& path,
                            const absl::Status& status) {
  ++finished_;
  failed_.push_back(
      {path, StrCat("not accepted: ", std::string(status.message()))});
}

std::vector<std::pair<std::string, int64_t>> WordTotals::MostFrequent(
    size_t count) const {
  std::vector<std::pair<std::string, int64_t>> words(counts_.begin(),
                                                     counts_.end());
  const auto by_frequency = [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  const size_t shown = std::min(count, words.size());
  std::partial_sort(words.begin(),
                    words.begin() + static_cast<std::ptrdiff_t>(shown),
                    words.end(), by_frequency);
  words.resize(shown);
  return words;
}

absl::StatusOr<WordCountReport> CountWordsOfFiles(
    TaskClient* client, const std::vector<std::string>& files,
    Progress* progress, std::ostream* log) {
  SharedTotals shared;
  TaskStreamOptions options;
  options.on_ack = [&shared](const SubmitAck& ack) { shared.OnAck(ack); };
  options.on_outcome = [&shared](const v1::TaskOutcome& outcome) {
    shared.OnOutcome(outcome);
  };
  APIUM_ASSIGN_OR_RETURN(std::unique_ptr<TaskStream> stream,
                         client->OpenStream(std::move(options)));

  const absl::Time start = absl::Now();
  for (const std::string& path : files) {
    v1::TaskSpec spec = ToTaskSpec({.type = "text.count_words",
                                    .payload = JsonArguments(path),
                                    .task_id = NewUuidV7(absl::Now())});
    // Before the submit: the outcome may come before it returns.
    shared.Expect(spec.task_id(), path);
    APIUM_RETURN_IF_ERROR(stream->Submit(&spec).status());
    shared.Show(progress);
  }
  absl::Status status =
      WaitForOutcomes(client, stream.get(), shared, progress, log);
  progress->Finish();
  APIUM_RETURN_IF_ERROR(status);
  const absl::Duration elapsed = absl::Now() - start;
  return WordCountReport{
      .totals = shared.Take(), .tasks = files.size(), .elapsed = elapsed};
}

}  // namespace apium
