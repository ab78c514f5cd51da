// What running tasks say of themselves, as the model has it: details that the
// next attempt gets, chunks, and who follows them.

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {

void ReferenceModel::ApplyProgress(Task* task, const ProgressReport& report) {
  if (report.progress.details != nullptr)
    task->details = report.progress.details->data;
}

std::string ReferenceModel::AppendChunk(Task* task, const ChunkReport& report) {
  const auto of_attempt = [task](const Chunk& chunk) {
    return chunk.attempt == task->attempt;
  };
  const auto last = static_cast<uint64_t>(
      std::count_if(task->chunks.begin(), task->chunks.end(), of_attempt));
  if (report.number <= last) return "OK";
  const std::string& data = report.payload.data;
  size_t bytes = data.size();
  for (const Chunk& chunk : task->chunks) bytes += chunk.data.size();
  const bool over = task->refused_attempt == task->attempt ||
                    data.size() > options_.chunk_bytes_max ||
                    task->chunks.size() >= options_.task_chunks_max ||
                    bytes > options_.task_chunk_bytes_max;
  if (over || report.number != last + 1) {
    task->refused_attempt = task->attempt;
    return over ? "RESOURCE_EXHAUSTED/CHUNK_LIMIT"
                : "INVALID_ARGUMENT/PROTOCOL_VIOLATION";
  }
  task->chunks.push_back(
      {.attempt = task->attempt, .turn = turn_, .data = data});
  WakeFollowers(report.lease.task_id);
  return "OK";
}

void ReferenceModel::ApplyChunks(uint64_t session_number,
                                 const std::vector<ChunkReport>& reports) {
  struct Answer {
    uint64_t appended = 0;
    uint64_t refused = 0;
    std::string refusal;
  };
  std::map<uint64_t, Answer> answers;
  Task* task = nullptr;
  uint64_t epoch = 0;
  for (const ChunkReport& report : reports) {
    if (report.lease.epoch != epoch)
      task = LeasedTask(session_number, report.lease);
    epoch = report.lease.epoch;
    if (task == nullptr) continue;
    const std::string verdict = AppendChunk(task, report);
    Answer& answer = answers[epoch];
    if (verdict == "OK") {
      answer.appended = std::max(answer.appended, report.number);
    } else {
      answer.refused = std::max(answer.refused, report.number);
      if (answer.refusal.empty()) answer.refusal = verdict;
    }
  }
  const WorkerSink* sink = sessions_[session_number].sink;
  for (const auto& [answered, answer] : answers) {
    if (answer.appended > 0) {
      ExpectPush(
          sink, absl::StrCat("chunks ", answered, " ", answer.appended, " OK"));
    }
    if (answer.refused > 0) {
      ExpectPush(sink, absl::StrCat("chunks ", answered, " ", answer.refused,
                                    " ", answer.refusal));
    }
  }
}

void ReferenceModel::WakeFollowers(const std::string& id) {
  for (auto it = followers_.begin(); it != followers_.end();) {
    if (it->second.task_id != id) {
      ++it;
      continue;
    }
    ExpectReply(it->first, "more");
    it = followers_.erase(it);
  }
}

void ReferenceModel::DeleteOldChunks() {
  for (auto& [id, task] : tasks_) {
    if (task.live() || task.chunks_deleted_turn != 0) continue;
    const absl::Duration kept =
        std::max(options_.chunk_retention, task.content->result_ttl);
    // In whole milliseconds, rounded up.
    const absl::Time due = absl::FromUnixMillis(
        absl::ToUnixMillis(task.finish_time + kept + absl::Milliseconds(1) -
                           absl::Nanoseconds(1)));
    if (due <= now_) task.chunks_deleted_turn = turn_;
  }
}

void ReferenceModel::Apply(const FollowTaskCommand& command) {
  const Task* known = Find(command.task_id);
  const auto it = tasks_.find(command.task_id);
  // The engine finds chunks of a task whose id it has forgotten.
  const Task* task = it == tasks_.end() ? nullptr : &it->second;
  uint64_t last = task == nullptr ? 0 : task->chunks.size();
  if (task != nullptr && task->chunks_deleted_turn != 0 &&
      task->chunks_deleted_turn < turn_) {
    last = 0;
  }
  if (command.from <= last) {
    FollowReply page;
    for (uint64_t position = command.from; position <= last; ++position) {
      const Chunk& chunk = task->chunks[position - 1];
      if (chunk.turn == turn_) break;
      page.chunks.push_back({.position = position,
                             .attempt = chunk.attempt,
                             .payload = {.data = chunk.data}});
    }
    ExpectReply(command.reply.tag, ReplyText({.body = page}));
  } else if (task != nullptr && task->live()) {
    followers_[command.reply.tag] = {.task_id = command.task_id,
                                     .sink = command.reply.sink.get()};
  } else {
    ExpectReply(command.reply.tag,
                known == nullptr ? std::string("UNKNOWN") : TaskText(*known));
  }
}

std::string ReferenceModel::StreamText(const Task& task) const {
  return absl::StrCat(" chunks=", task.chunks.size(),
                      " details=", task.details.value_or(""));
}

void ReferenceModel::CheckOutcomeStream(const Outcome& outcome) {
  const Task& task = tasks_[outcome.task_id];
  const std::string details =
      outcome.details == nullptr ? "" : outcome.details->data;
  if (outcome.chunks != task.chunks.size() ||
      details != task.details.value_or("")) {
    AddViolation(absl::StrCat("the outcome of ", outcome.task_id,
                              " has chunks=", outcome.chunks,
                              " details=", details, ", not", StreamText(task)));
  }
}

}  // namespace apium::broker
