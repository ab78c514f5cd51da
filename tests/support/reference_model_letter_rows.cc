// What a turn writes of dead letters and redrives, against what the reference
// model has of them.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/storage/dead_letter_codec.h"
#include "broker/storage/key_format.h"
#include "broker/storage/queue_codec.h"
#include "broker/storage/record_codec.h"
#include "broker/storage/record_value.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kRedrivenFrom[] = "apium-redriven-from";

struct LetterRows {
  void Put(std::string_view key, std::string_view value) {
    const std::string text(value);
    read(std::string(key), &text);
  }
  void Delete(std::string_view key) { read(std::string(key), nullptr); }
  void DeleteRange(std::string_view, std::string_view) {}
  std::function<void(const std::string& key, const std::string* value)> read;
};

uint32_t QueueIdOf(const std::string& key) {
  uint32_t id = 0;
  for (size_t i = 1; i <= 4; ++i) id = id << 8 | static_cast<uint8_t>(key[i]);
  return id;
}

bool IsRedriven(
    const std::vector<std::pair<std::string, std::string>>& headers) {
  return std::any_of(headers.begin(), headers.end(), [](const auto& header) {
    return header.first == kRedrivenFrom;
  });
}

// The id in a task's key.
std::string IdOf(std::string_view task_key) {
  return std::string(task_key.substr(task_key.find('\0') + 1));
}

}  // namespace

void ReferenceModel::ReadLetterRows(const Effects& effects) {
  for (const Outcome* outcome : record_.outcomes) {
    if (tasks_.count(outcome->task_id) > 0 || !IsRedriven(outcome->headers))
      continue;
    auto content = std::make_shared<TaskContent>();
    content->type = outcome->type;
    content->queue = outcome->queue;
    content->priority = outcome->priority;
    content->headers = outcome->headers;
    record_.redriven_tasks[outcome->task_id] = std::move(content);
    record_.ended_at_once.insert(outcome->task_id);
  }
  // Names of queues first.
  for (const bool queues : {true, false}) {
    effects.writes.ForEach(
        LetterRows{[&](const std::string& key, const std::string* value) {
          if ((key[0] == kQueueRow) == queues) ReadRow(key, value);
        }});
  }
}

void ReferenceModel::ReadRow(const std::string& key, const std::string* value) {
  switch (key[0]) {
    case kQueueRow:
      if (value != nullptr) {
        queue_names_[DecodeQueue(*value)->queue_id] = QueueOfRow(key)->queue;
      }
      return;
    case kTaskRow: {
      if (value == nullptr || IsFinishedTaskRow(*value)) return;
      const std::string task_key = key.substr(1);
      if (tasks_.count(IdOf(task_key)) > 0) return;
      const auto task = DecodeLiveTaskRow(task_key, *value);
      if (IsRedriven(task->content->headers))
        record_.redriven_tasks[IdOf(task_key)] = task->content;
      return;
    }
    case kDeadLetterRow: {
      const std::string queue = queue_names_[QueueIdOf(key)];
      const std::string task_key(TaskKeyOfDeadLetterRow(key));
      record_.letters_changed = true;
      auto& rows = letter_rows_[queue];
      rows.erase(IdOf(task_key));
      if (value != nullptr) {
        const auto letter = *DecodeDeadLetter(task_key, *value);
        rows[IdOf(task_key)] =
            LetterText(*letter->content, *letter->outcome,
                       ModelEventsText(letter->outcome->history));
      }
      if (rows.empty()) letter_rows_.erase(queue);
      return;
    }
    case kRedriveRow: {
      const std::string queue = queue_names_[QueueIdOf(key)];
      if (value == nullptr) {
        record_.deleted_redrives.insert(queue);
        return;
      }
      StoredRedrive redrive = *DecodeRedrive(*value);
      redrive.cursor = IdOf(redrive.cursor);
      redrive.shown.queue = queue;
      record_.written_redrives[queue] = std::move(redrive);
      return;
    }
    case kCountRow:
      if (value != nullptr && key.back() == 'X' && key.size() == 6) {
        record_.letter_counts[queue_names_[QueueIdOf(key)]] =
            *DecodeNumber(*value);
      }
      return;
    default:
      return;
  }
}

void ReferenceModel::CompareLetters() {
  for (const auto& [id, content] : record_.redriven_tasks)
    AddViolation(absl::StrCat(id, " was made of a dead letter without cause"));
  for (const auto& [queue, count] : record_.letter_counts) {
    if (count != LettersOf(queue)) {
      AddViolation(absl::StrCat("the dead letters of ", queue,
                                " are counted as ", count, ", not ",
                                LettersOf(queue)));
    }
  }
  for (const auto& [queue, written] : record_.written_redrives) {
    const auto expected = redrives_.find(queue);
    const std::string text = expected == redrives_.end()
                                 ? "none"
                                 : ModelRedriveText(expected->second.shown);
    if (ModelRedriveText(written.shown) != text) {
      AddViolation(absl::StrCat("the redrive of ", queue, " is written as ",
                                ModelRedriveText(written.shown), ", not ",
                                text));
    }
  }
  if (!record_.letters_changed) return;
  std::map<std::string, std::map<std::string, std::string>> expected;
  for (const auto& [queue, letters] : letters_) {
    for (const auto& [id, letter] : letters) expected[queue][id] = letter.text;
  }
  if (expected == letter_rows_) return;
  const auto text = [](const auto& by_queue) {
    std::string all;
    for (const auto& [queue, letters] : by_queue) {
      absl::StrAppend(&all, queue, ": ",
                      absl::StrJoin(letters, "; ", absl::PairFormatter(" ")),
                      " ");
    }
    return all;
  };
  AddViolation(absl::StrCat("the dead letters on disk are {",
                            text(letter_rows_), "}, not {", text(expected),
                            "}"));
}

}  // namespace apium::broker
