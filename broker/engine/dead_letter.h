#ifndef APIUM_BROKER_ENGINE_DEAD_LETTER_H_
#define APIUM_BROKER_ENGINE_DEAD_LETTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "broker/engine/task.h"

// What the engine knows of tasks that used up their attempts.
namespace apium::broker {

// Header of a task that was made from a dead letter; its value is the id of the
// task that ended.
inline constexpr std::string_view kRedrivenFromHeader = "apium-redriven-from";

// A task that used up its attempts, as its queue keeps it. Immutable.
struct DeadLetter {
  // From the engine's tickets: grows with the time of the end.
  uint64_t number = 0;
  std::shared_ptr<const TaskContent> content;
  std::shared_ptr<const Outcome> outcome;
};

// As apium.v1.DeadLetterFilter.
struct DeadLetterFilter {
  std::string type;          // empty: all
  std::string failure_type;  // empty: all
  absl::Time dead_after = absl::InfinitePast();
  absl::Time dead_before = absl::InfiniteFuture();

  bool everything() const {
    return type.empty() && failure_type.empty() &&
           dead_after == absl::InfinitePast() &&
           dead_before == absl::InfiniteFuture();
  }
  bool Matches(const DeadLetter& letter) const {
    const Outcome& outcome = *letter.outcome;
    return (type.empty() || letter.content->type == type) &&
           (failure_type.empty() || outcome.failure.type == failure_type) &&
           outcome.finish_time >= dead_after &&
           outcome.finish_time < dead_before;
  }
};

// As apium.v1.RedriveState, with the same numbers.
enum class RedriveState : uint8_t { kRunning = 1, kDone = 2, kCancelled = 3 };

// A redrive of many, as its readers see it.
struct Redrive {
  std::string queue;
  DeadLetterFilter filter;
  double max_per_second = 0;  // 0: no limit
  std::string target_queue;   // empty: the one that the letter is in
  bool dry_run = false;
  RedriveState state = RedriveState::kRunning;
  uint64_t matched = 0;
  uint64_t redriven = 0;
  uint64_t refused = 0;
  std::string last_refusal;
  absl::Time start_time;
  // InfiniteFuture: it is at work.
  absl::Time end_time = absl::InfiniteFuture();
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_DEAD_LETTER_H_
