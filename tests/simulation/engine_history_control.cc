// What a history does to control tasks: cancel many, change, forget, count.

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {

TaskFilter EngineHistory::RandomFilter() {
  TaskFilter filter = {.namespace_name = "default"};
  switch (Below(6)) {
    case 0:
      filter.states = {TaskState::kQueued};
      break;
    case 1:
      filter.states = {TaskState::kScheduled};
      break;
    case 2:
      filter.states = {TaskState::kLeased, TaskState::kStarted};
      break;
    default:
      break;
  }
  if (Chance(40)) filter.queue = RandomQueue();
  if (Chance(40)) filter.type = Chance(50) ? "job" : "mail";
  if (Chance(40)) filter.headers = {{"color", "red"}};
  if (Chance(20)) filter.created_after = driver_.now() - absl::Seconds(3);
  if (Chance(20)) filter.created_before = driver_.now() - absl::Seconds(3);
  return filter;
}

// A change and a cancel by filter have a turn of their own: whether a purge or
// another cancel takes a task before or while it is looked at is up to the
// engine.
void EngineHistory::AddControl() {
  const uint64_t kind = Below(10);
  if (kind < 6 && !engine_commands_.empty()) RunTurn();
  if (failed()) return;
  if (kind < 4) {
    UpdateTaskCommand update = {.reply = NewCall(),
                                .namespace_name = "default",
                                .task_id = RandomTaskId()};
    if (Chance(40)) update.priority = static_cast<uint8_t>(Below(3) * 100);
    switch (Below(5)) {
      case 0:
        update.eta = driver_.now() + absl::Microseconds(Below(9'000'000)) -
                     absl::Seconds(2);
        moments_.push_back(*update.eta);
        break;
      case 1:
        update.delay = absl::Milliseconds(Below(8000));
        moments_.push_back(driver_.now() + *update.delay);
        break;
      case 2:
        update.run_now = true;
        break;
      default:
        break;
    }
    switch (Below(5)) {
      case 0:
        update.expire_time = driver_.now() +
                             absl::Microseconds(Below(9'000'000)) -
                             absl::Seconds(1);
        moments_.push_back(*update.expire_time);
        break;
      case 1:
        update.expire_after = absl::Milliseconds(1 + Below(8000));
        break;
      case 2:
        update.expire_time = absl::InfiniteFuture();
        break;
      default:
        break;
    }
    Add(std::move(update));
    RunTurn();
  } else if (kind < 6) {
    CancelTasksCommand cancel = {.reply = NewCall(),
                                 .namespace_name = "default",
                                 .filter = RandomFilter(),
                                 .dry_run = Chance(20)};
    cancel.reason = absl::StrCat(kJobReason, cancel.reply.tag);
    Add(std::move(cancel));
    RunTurn();
  } else if (kind < 7) {
    CancelTasksCommand cancel = {
        .reply = NewCall(), .namespace_name = "default", .reason = "enough"};
    for (uint64_t i = 0; i <= Below(4); ++i) {
      cancel.task_ids.push_back(RandomTaskId());
    }
    Add(std::move(cancel));
  } else if (kind < 9) {
    waits_.push_back(NewSink());
    Add(ForgetTaskCommand{
        .reply = {.sink = waits_.back(), .tag = ++last_tag_},
        .namespace_name = "default",
        .task_id = RandomTaskId(),
        .deadline = driver_.now() + absl::Milliseconds(Below(6000))});
  } else {
    Add(CountTasksCommand{.reply = NewCall(),
                          .namespace_name = "default",
                          .queue = Chance(50) ? "" : RandomQueue()});
  }
}

}  // namespace apium::broker
