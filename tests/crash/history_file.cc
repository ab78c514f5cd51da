#include "tests/crash/history_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "absl/time/clock.h"
#include "common/check.h"
#include "common/strings.h"

namespace apium::crash {
namespace {

using End = ExecutionRecord::End;

constexpr std::array<std::pair<std::string_view, End>, 3> kEnds = {
    {{"succeeded", End::kSucceeded},
     {"failed", End::kFailed},
     {"cancelled", End::kCancelled}}};

std::string_view NameOf(End end) {
  for (const auto& [name, value] : kEnds) {
    if (value == end) return name;
  }
  return "none";
}

End EndNamed(std::string_view name) {
  for (const auto& [end_name, value] : kEnds) {
    if (end_name == name) return value;
  }
  return End::kNone;
}

// Executions by token, in the order of their starts.
class Parser {
 public:
  explicit Parser(const std::string& worker) : worker_(worker) {}

  bool TakeLine(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "start") return TakeStart(&words);
    return kind == "end" && TakeEnd(&words);
  }

  std::vector<ExecutionRecord> executions() && {
    return std::move(executions_);
  }

 private:
  bool TakeStart(std::istringstream* words) {
    ExecutionRecord execution;
    int64_t monotonic = 0;
    int64_t wall = 0;
    *words >> execution.task_id >> execution.attempt >> execution.epoch >>
        execution.token >> monotonic >> wall;
    if (words->fail() || places_.contains(execution.token)) return false;
    execution.worker = worker_;
    execution.start = absl::Nanoseconds(monotonic);
    execution.start_time = absl::FromUnixNanos(wall);
    places_[execution.token] = executions_.size();
    executions_.push_back(std::move(execution));
    return true;
  }

  bool TakeEnd(std::istringstream* words) {
    std::string token;
    std::string end;
    int64_t monotonic = 0;
    *words >> token >> end >> monotonic;
    const auto place = places_.find(token);
    if (words->fail() || place == places_.end()) return false;
    ExecutionRecord& execution = executions_[place->second];
    execution.end = EndNamed(end);
    execution.end_moment = absl::Nanoseconds(monotonic);
    return execution.end != End::kNone;
  }

  const std::string worker_;
  std::vector<ExecutionRecord> executions_;
  std::map<std::string, size_t> places_;
};

}  // namespace

HistoryWriter::HistoryWriter(const std::string& path)
    : file_(
          open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  APIUM_CHECK(file_ >= 0) << "cannot open " << path;
}

HistoryWriter::~HistoryWriter() { close(file_); }

void HistoryWriter::Start(ExecutionRecord* execution) {
  execution->start = MonotonicNow();
  execution->start_time = absl::Now();
  Append(StrCat("start ", execution->task_id, " ", execution->attempt, " ",
                execution->epoch, " ", execution->token, " ",
                absl::ToInt64Nanoseconds(execution->start), " ",
                absl::ToUnixNanos(execution->start_time), "\n"));
}

void HistoryWriter::End(ExecutionRecord::End end, ExecutionRecord* execution) {
  execution->end = end;
  execution->end_moment = MonotonicNow();
  Append(StrCat("end ", execution->token, " ", NameOf(end), " ",
                absl::ToInt64Nanoseconds(execution->end_moment), "\n"));
}

void HistoryWriter::Append(std::string_view line) {
  const ssize_t written = write(file_, line.data(), line.size());
  APIUM_CHECK(written == static_cast<ssize_t>(line.size()))
      << "the history cannot be written";
}

absl::StatusOr<std::vector<ExecutionRecord>> ParseHistory(
    std::string_view content, const std::string& worker) {
  Parser parser(worker);
  size_t begin = 0;
  for (size_t end = content.find('\n'); end != std::string_view::npos;
       end = content.find('\n', begin)) {
    const std::string line(content.substr(begin, end - begin));
    if (!parser.TakeLine(line)) {
      return absl::InvalidArgumentError(
          StrCat("history of ", worker, ": \"", line, "\""));
    }
    begin = end + 1;
  }
  return std::move(parser).executions();
}

absl::StatusOr<std::vector<ExecutionRecord>> ReadHistoryFile(
    const std::string& path, const std::string& worker) {
  std::ifstream file(path);
  std::ostringstream content;
  if (file.is_open()) content << file.rdbuf();
  return ParseHistory(content.str(), worker);
}

}  // namespace apium::crash
