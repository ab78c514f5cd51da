// Dead letters in random histories: operators who look at them, submit them
// again, and throw them away.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {
namespace {

const char* const kFailureTypes[] = {"Boom", "Final", "apium.WorkerLost",
                                     "apium.TooManyReturns",
                                     "apium.TotalTimeLimit"};
// Tasks per second; 0: no limit.
constexpr double kRates[] = {0, 0, 0.5, 1, 4, 10, 50};

}  // namespace

std::string EngineHistory::RandomLetterId(const std::string& queue) {
  const std::vector<std::string> ids = model_.DeadLetterIds(queue);
  return ids.empty() || Chance(10) ? RandomTaskId() : ids[Below(ids.size())];
}

DeadLetterFilter EngineHistory::RandomLetterFilter() {
  DeadLetterFilter filter;
  if (Chance(25)) filter.type = RandomType();
  if (Chance(25)) filter.failure_type = kFailureTypes[Below(5)];
  if (Chance(15))
    filter.dead_after = driver_.now() - absl::Milliseconds(Below(9000));
  if (Chance(15))
    filter.dead_before = driver_.now() - absl::Milliseconds(Below(9000));
  return filter;
}

void EngineHistory::AddRedriveOfOne(const std::string& queue) {
  RedriveDeadLetterCommand redrive = {.reply = NewCall(),
                                      .namespace_name = "default",
                                      .queue = queue,
                                      .task_id = RandomLetterId(queue)};
  if (Chance(30))
    redrive.payload = Payload{.data = absl::StrCat("edited ", Below(1000))};
  if (Chance(20)) redrive.type = RandomType();
  if (Chance(30)) redrive.target_queue = RandomQueue();
  if (Chance(20)) redrive.priority = static_cast<uint8_t>(Below(3) * 100);
  if (Chance(30)) {
    RetryPolicy policy;
    policy.jitter = 0;
    policy.max_attempts = static_cast<uint32_t>(1 + Below(3));
    policy.initial_delay = absl::Seconds(Below(2));
    redrive.retry_policy = policy;
  }
  Add(std::move(redrive));
}

// In a turn of its own, in which no other redrive of the queue gets on: a row
// tells of one.
void EngineHistory::AddRedriveOfMany(const std::string& queue) {
  Settle();
  if (failed()) return;
  StartRedriveCommand start = {.reply = NewCall(),
                               .namespace_name = "default",
                               .queue = queue,
                               .max_per_second = kRates[Below(7)],
                               .dry_run = Chance(25)};
  if (Chance(50)) start.filter = RandomLetterFilter();
  if (Chance(40)) start.target_queue = RandomQueue();
  if (Chance(15)) {
    Add(UpdateQueueCommand{
        .reply = NewCall(),
        .namespace_name = "default",
        .queue = start.target_queue.empty() ? queue : start.target_queue,
        .submit_paused = true});
  }
  Add(std::move(start));
  RunTurn();
}

void EngineHistory::AddDeadLetterCommand() {
  const std::string queue = RandomQueue();
  switch (Below(16)) {
    case 0:
    case 1: {
      ListDeadLettersCommand list = {
          .reply = NewCall(),
          .namespace_name = "default",
          .queue = queue,
          .page_size = static_cast<uint32_t>(1 + Below(4))};
      if (Chance(50)) list.page_token = RandomLetterId(queue);
      if (Chance(40)) list.filter = RandomLetterFilter();
      Add(std::move(list));
      return;
    }
    case 2:
    case 3:
      Add(GetDeadLetterCommand{.reply = NewCall(),
                               .namespace_name = "default",
                               .queue = queue,
                               .task_id = RandomLetterId(queue)});
      return;
    case 4:
    case 5:
    case 6:
      AddRedriveOfOne(queue);
      return;
    case 7:
      Add(DiscardDeadLetterCommand{.reply = NewCall(),
                                   .namespace_name = "default",
                                   .queue = queue,
                                   .task_id = RandomLetterId(queue)});
      return;
    case 8:
      if (Chance(50)) return;
      Add(PurgeDeadLettersCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = queue});
      return;
    case 9:
      Add(CancelRedriveCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = queue});
      return;
    case 10:
    case 11:
      Add(GetRedriveCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = queue});
      return;
    default:
      AddRedriveOfMany(queue);
  }
}

void EngineHistory::AuditDeadLetters() {
  for (const char* queue : {"default", "extra"}) {
    Add(ListDeadLettersCommand{.reply = NewCall(),
                               .namespace_name = "default",
                               .queue = queue,
                               .page_size = 1000});
    Add(GetRedriveCommand{
        .reply = NewCall(), .namespace_name = "default", .queue = queue});
  }
}

void EngineHistory::PurgeDeadLetters() {
  for (const char* queue : {"default", "extra"}) {
    Add(PurgeDeadLettersCommand{
        .reply = NewCall(), .namespace_name = "default", .queue = queue});
  }
}

}  // namespace apium::broker
