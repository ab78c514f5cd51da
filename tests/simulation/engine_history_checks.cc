// What is compared at the end of a history, and now and then before.

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/storage/key_format.h"
#include "tests/simulation/engine_history_actors.h"

namespace apium::broker {
namespace {

constexpr int kCompletionRoundsMax = 3000;

}  // namespace

void EngineHistory::Audit() {
  const bool was_holding = holding_;
  for (const std::string& id : model_.TaskIds()) {
    Add(GetTaskCommand{
        .reply = NewCall(), .namespace_name = "default", .task_id = id});
  }
  for (const char* queue : {"default", "extra"}) {
    Add(GetQueueCommand{
        .reply = NewCall(), .namespace_name = "default", .queue = queue});
  }
  Add(ListWorkersCommand{.reply = NewCall(), .namespace_name = "default"});
  AuditBatches();
  AuditDeadLetters();
  AuditRouting();
  Add(ListBreakersCommand{.reply = NewCall(), .namespace_name = "default"});
  Add(CountTasksCommand{.reply = NewCall(), .namespace_name = "default"});
  RunTurn();
  if (!failed() && !was_holding) ListAllTasks();
}

void EngineHistory::ListAllTasks() {
  std::vector<std::string> listed;
  ListTasksCommand list = {.filter = {.namespace_name = "default"},
                           .page_size = static_cast<uint32_t>(1 + Below(5))};
  do {
    list.reply = NewCall();
    Add(list);
    RunTurn();
    if (failed()) return;
    for (const TaskSnapshot& task : calls_->last_page.tasks) {
      listed.push_back(task.content->task_id);
    }
    list.page_token = calls_->last_page.next_page_token;
  } while (!list.page_token.empty());
  std::sort(listed.begin(), listed.end());
  const std::vector<std::string> live = model_.LiveTaskIds();
  if (listed != live) {
    model_.AddViolation(absl::StrCat("listed are {", absl::StrJoin(listed, " "),
                                     "}, live are {", absl::StrJoin(live, " "),
                                     "}"));
  }
}

void EngineHistory::RunToCompletion() {
  Log("to completion\n");
  for (const char* queue : {"default", "extra"}) {
    Add(UpdateQueueCommand{.reply = NewCall(),
                           .namespace_name = "default",
                           .queue = queue,
                           .paused = false});
  }
  Add(CreateQueueCommand{
      .reply = NewCall(), .namespace_name = "default", .queue = "extra"});
  Worker willing;
  willing.name = "willing";
  willing.stream = std::make_shared<Stream>(this, &willing);
  Add(OpenSessionCommand{.sink = willing.stream,
                         .namespace_name = "default",
                         .worker_id = willing.name,
                         .task_types = {"job", "mail"},
                         .queues = {"default", "extra"},
                         .labels = {{"disk", "fast"}, {"gpu", "yes"}},
                         .slots = 4});
  DeleteLimits();
  CloseBatches();
  Settle();
  // The other workers say no more: what they hold is lost in time.
  const auto goes_on = [this] {
    return model_.live_tasks() > 0 || model_.has_running_redrives() ||
           !model_.BlockedKeys().empty();
  };
  for (int round = 0; !failed() && goes_on(); ++round) {
    if (round == kCompletionRoundsMax) {
      model_.AddViolation(absl::StrCat(
          "never finished: ", absl::StrJoin(model_.LiveTaskIds(), " ")));
      return;
    }
    WorkerReportCommand report = {
        .sink = willing.stream,
        .credit = round == 0 ? 2u : static_cast<uint32_t>(willing.held.size())};
    for (const auto& [epoch, lease] : willing.held) {
      report.outcomes.push_back({.lease = lease});
    }
    const bool idle = round > 0 && willing.held.empty();
    Add(std::move(report));
    ReleaseAll();
    Settle();
    if (failed() || !idle) continue;
    driver_.set_now(
        std::min(driver_.next_turn_time(), driver_.now() + absl::Seconds(5)));
    Settle();
  }
  OutliveChunks();
}

// Rows of what is over go: ready rows, timers, leases, dead letters, and outbox
// rows that are confirmed.
void EngineHistory::CheckNothingIsLeftOnDisk() {
  PurgeDeadLetters();
  Add(OutboxConfirmedCommand{.position = model_.last_outbox_position()});
  Settle();
  const absl::Time never = driver_.now() + absl::Hours(24 * 365 * 100);
  for (const char kind : {kReadyRow, kTimerRow, kLeaseRow, kOutboxRow,
                          kBlockedRow, kUniqueRow, kChunkRow, kDetailsRow,
                          kDeadLetterRow, kOrderingRow, kOrderingMemberRow}) {
    size_t rows = 0;
    const absl::Status status =
        driver_.store().Scan(std::string(1, kind), RowsEnd(kind),
                             [&](std::string_view key, std::string_view value) {
                               // Windows go by compaction.
                               if (!IsDroppableRow(key, value, never, 0))
                                 ++rows;
                               return true;
                             });
    if (!status.ok()) error_ = status.ToString();
    if (rows > 0) {
      model_.AddViolation(absl::StrCat(rows, " rows of kind ",
                                       std::string(1, kind), " are left"));
    }
  }
}

}  // namespace apium::broker
