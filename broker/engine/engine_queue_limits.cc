// What a queue does for those who submit to it and look into it: its length is
// bounded, its tasks have defaults, its head can be seen.

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Whoever finds a queue full tries again after this.
constexpr absl::Duration kFullRetryDelay = absl::Seconds(1);
// Tasks that one submit sets aside beyond those that it takes the place of,
// where a limit was lowered: the next submits go on.
constexpr size_t kSetAsideMax = 1000;

enum class Order : uint8_t { kDispatch, kLowestFirst };

// Calls `visit` with the ready tasks of a queue that are in memory, priority by
// priority, and within one in the order in which they became ready, until it
// returns false.
void VisitReady(const Queue& queue, Order order,
                absl::FunctionRef<bool(LiveTask*)> visit) {
  using Line = std::deque<LiveTask*>;
  struct Position {
    Line::const_iterator next;
    Line::const_iterator end;
  };
  // What is highest comes last.
  std::map<uint8_t, std::vector<Position>> by_priority;
  const auto add = [&](const LaneRank& rank, const Line& line) {
    if (line.empty()) return;
    by_priority[rank.priority()].push_back({line.begin(), line.end()});
  };
  for (const auto& [rank, lane] : queue.lanes) add(rank, lane->window);
  for (const auto& [rank, lane] : queue.suspect_lanes)
    add(rank, lane->suspects);
  const auto visit_priority = [&](std::vector<Position>& lines) {
    const auto later = [](const Position& a, const Position& b) {
      return IsAhead(**b.next, **a.next);
    };
    std::make_heap(lines.begin(), lines.end(), later);
    while (!lines.empty()) {
      std::pop_heap(lines.begin(), lines.end(), later);
      if (!visit(*lines.back().next)) return false;
      if (++lines.back().next == lines.back().end) {
        lines.pop_back();
      } else {
        std::push_heap(lines.begin(), lines.end(), later);
      }
    }
    return true;
  };
  if (order == Order::kLowestFirst) {
    for (auto& [priority, lines] : by_priority) {
      if (!visit_priority(lines)) return;
    }
  } else {
    for (auto it = by_priority.rbegin(); it != by_priority.rend(); ++it) {
      if (!visit_priority(it->second)) return;
    }
  }
}

// By how much `now + added` is above `limit`; 0: no limit.
uint64_t Excess(uint64_t now, uint64_t added, uint64_t limit) {
  return limit == 0 || now + added <= limit ? 0 : now + added - limit;
}

uint64_t Less(uint64_t from, uint64_t amount) {
  return from < amount ? 0 : from - amount;
}

absl::Status QueueFull(const Queue& queue, uint64_t tasks, uint64_t waiting,
                       uint64_t bytes) {
  const QueueSettings& settings = queue.stored.settings;
  std::string text = absl::StrCat("queue ", queue.name, " has no room for ",
                                  tasks == 1 ? "another task" : "the tasks");
  if (settings.max_length != 0) {
    absl::StrAppend(&text, "; ", waiting, " of at most ", settings.max_length,
                    " wait");
  }
  if (settings.max_bytes != 0) {
    absl::StrAppend(&text, "; their payloads have ", bytes, " of at most ",
                    settings.max_bytes, " bytes");
  }
  return WithRetryDelay(WithReason(absl::ResourceExhaustedError(text),
                                   reason::kQueueFull, {{"queue", queue.name}}),
                        kFullRetryDelay);
}

template <typename T>
void TakeDefault(bool unsaid, const std::optional<T>& by_queue, T* value) {
  if (unsaid && by_queue.has_value()) *value = *by_queue;
}

}  // namespace

absl::Status Engine::Impl::AddDemand(const TaskContent& content,
                                     const KeyClaim& claim, Demand* demand) {
  ++demand->tasks;
  demand->bytes += content.payload.data.size();
  if (claim.waiting_holder != nullptr &&
      claim.verdict == KeyClaim::Verdict::kTake)
    demand->replaced.push_back(claim.waiting_holder);
  if (!claim.row.has_value() || claim.row->next.empty())
    return absl::OkStatus();
  APIUM_ASSIGN_OR_RETURN(const LiveTask* next,
                         BlockedTaskOf(content.namespace_name, *claim.row));
  demand->replaced.push_back(next);
  return absl::OkStatus();
}

absl::Status Engine::Impl::MakeRoom(const Queue& queue, const Demand& demand,
                                    std::vector<LiveTask*>* victims) const {
  const QueueSettings& settings = queue.stored.settings;
  const uint64_t waiting = queue.ready + queue.scheduled + queue.blocked;
  uint64_t replaced_tasks = 0;
  uint64_t replaced_bytes = 0;
  for (const LiveTask* task : demand.replaced) {
    const TaskContent& content = task->content();
    if (content.queue != queue.name ||
        content.namespace_name != queue.namespace_name)
      continue;
    ++replaced_tasks;
    replaced_bytes += content.payload.data.size();
  }
  const uint64_t added = Less(demand.tasks, replaced_tasks);
  const uint64_t added_bytes = Less(demand.bytes, replaced_bytes);
  // Whoever is as large as what it replaces makes nothing worse.
  const uint64_t excess =
      added == 0 ? 0 : Excess(waiting, added, settings.max_length);
  const uint64_t excess_bytes =
      added_bytes == 0 ? 0
                       : Excess(queue.bytes, added_bytes, settings.max_bytes);
  if (excess == 0 && excess_bytes == 0) return absl::OkStatus();
  uint64_t freed = 0;
  uint64_t freed_bytes = 0;
  const auto enough = [&] {
    return freed >= std::min(excess, added) &&
           freed_bytes >= std::min(excess_bytes, added_bytes);
  };
  std::vector<LiveTask*> found;
  if (settings.overflow_policy == OverflowPolicy::kDeadLetterOldest) {
    VisitReady(queue, Order::kLowestFirst, [&](LiveTask* task) {
      const bool all = freed >= excess && freed_bytes >= excess_bytes;
      if (all || (enough() && found.size() >= added + kSetAsideMax))
        return false;
      const bool goes_anyway =
          std::find(demand.replaced.begin(), demand.replaced.end(), task) !=
          demand.replaced.end();
      if (goes_anyway) return true;
      found.push_back(task);
      ++freed;
      freed_bytes += task->content().payload.data.size();
      return true;
    });
  }
  if (!enough()) return QueueFull(queue, demand.tasks, waiting, queue.bytes);
  victims->insert(victims->end(), found.begin(), found.end());
  return absl::OkStatus();
}

absl::Status Engine::Impl::SetAside(const std::vector<LiveTask*>& victims) {
  for (LiveTask* task : victims) {
    if (task->finished() || task->leased()) continue;
    Failure failure{
        .type = "apium.QueueOverflow",
        .message = absl::StrCat("queue ", task->content().queue,
                                " was full, and it was the oldest ready task "
                                "of the lowest priority")};
    APIUM_RETURN_IF_ERROR(Exhaust(task, {.failure = std::move(failure)}));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::CheckOverflow(const QueueSettings& settings) {
  if (settings.overflow_policy != OverflowPolicy::kDeadLetterOldest ||
      settings.dead_letter)
    return absl::OkStatus();
  constexpr char kText[] =
      "DEAD_LETTER_OLDEST needs a queue that keeps dead letters "
      "(dead_letter = true)";
  return WithFieldViolation(WithReason(absl::FailedPreconditionError(kText),
                                       "OVERFLOW_NEEDS_DEAD_LETTERS"),
                            "queue.overflow_policy", kText);
}

void Engine::Impl::ApplyDefaults(const TaskDefaults& defaults,
                                 SubmitCommand* command) {
  TaskContent& content = *command->content;
  const SubmitCommand::Unsaid& unsaid = command->unsaid;
  TakeDefault(unsaid.priority, defaults.priority, &content.priority);
  TakeDefault(unsaid.retry_policy, defaults.retry_policy,
              &content.retry_policy);
  TakeDefault(unsaid.result_mode, defaults.result_mode, &content.result_mode);
  TakeDefault(unsaid.delivery_mode, defaults.delivery_mode,
              &content.delivery_mode);
  TakeDefault(content.result_ttl == absl::ZeroDuration(), defaults.result_ttl,
              &content.result_ttl);
  TakeDefault(content.soft_time_limit == absl::ZeroDuration(),
              defaults.soft_time_limit, &content.soft_time_limit);
  const bool expires = content.expire_time != absl::InfiniteFuture() ||
                       command->expire_after.has_value();
  if (!expires) command->expire_after = defaults.expire_after;
}

absl::Status Engine::Impl::Apply(PeekQueueCommand&& command) {
  TaskPageReply reply;
  const absl::StatusOr<Queue*> queue =
      ExistingQueue(command.namespace_name, command.queue);
  reply.status = queue.status();
  absl::Status read = absl::OkStatus();
  if (queue.ok() && command.max_tasks > 0) {
    VisitReady(**queue, Order::kDispatch, [&](LiveTask* task) {
      reply.tasks.push_back(SnapshotOf(*task));
      read = AddDetails(*task, &reply.tasks.back());
      return read.ok() && reply.tasks.size() < command.max_tasks;
    });
  }
  APIUM_RETURN_IF_ERROR(read);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
