#include "cli/queue_text.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string StateOf(const v1::Queue& queue) {
  if (queue.paused() && queue.submit_paused()) return "paused, closed";
  if (queue.paused()) return "paused";
  return queue.submit_paused() ? "closed" : "open";
}

std::string AgeText(const v1::QueueCounts& counts) {
  return counts.has_oldest_ready_age()
             ? RoughDurationText(counts.oldest_ready_age())
             : "";
}

std::string BoundText(const v1::Queue& queue) {
  std::vector<std::string> bounds;
  if (queue.max_length() > 0)
    bounds.push_back(StrCat(queue.max_length(), " that wait"));
  if (queue.max_bytes() > 0)
    bounds.push_back(StrCat(queue.max_bytes(), " bytes"));
  if (bounds.empty()) return "";
  const bool drops =
      queue.overflow_policy() == v1::OVERFLOW_POLICY_DEAD_LETTER_OLDEST;
  return StrCat(absl::StrJoin(bounds, ", "), "; beyond: ",
                drops ? "dead-letter the oldest" : "reject the submit");
}

std::string DefaultsText(const v1::TaskDefaults& defaults) {
  std::vector<std::string> texts;
  const auto add = [&texts](const char* name, const std::string& value) {
    texts.push_back(StrCat(name, " ", value));
  };
  if (defaults.has_priority()) add("priority", StrCat(defaults.priority()));
  if (defaults.has_retry_policy()) {
    add("max attempts", StrCat(defaults.retry_policy().max_attempts()));
    add("retry delay", DurationText(defaults.retry_policy().initial_delay()));
  }
  if (defaults.has_expire_after())
    add("expires", DurationText(defaults.expire_after()));
  if (defaults.has_result_ttl())
    add("result TTL", DurationText(defaults.result_ttl()));
  if (defaults.has_soft_time_limit())
    add("soft time limit", DurationText(defaults.soft_time_limit()));
  if (defaults.result_mode() == v1::RESULT_MODE_KEEP_FAILURES)
    add("results:", "failures only");
  if (defaults.result_mode() == v1::RESULT_MODE_IGNORE) add("results:", "none");
  if (defaults.delivery_mode() == v1::DELIVERY_MODE_AT_MOST_ONCE)
    add("delivered", "at most once");
  return absl::StrJoin(texts, ", ");
}

std::string WeightsText(const v1::Queue& queue) {
  // Sorted.
  const std::map<std::string, double> weights(queue.fairness_weights().begin(),
                                              queue.fairness_weights().end());
  return absl::StrJoin(weights, ", ", [](std::string* out, const auto& weight) {
    StrAppend(out, weight.first, "=", absl::StrFormat("%g", weight.second));
  });
}

void AddSettings(const v1::Queue& queue, Details* details) {
  if (queue.paused()) {
    details->Add("Paused by", queue.paused_by());
    details->Add("Pause reason", queue.pause_reason());
    details->Add("Paused since", TimeText(queue.pause_time()));
  }
  if (queue.weight() > 1) details->Add("Weight", StrCat(queue.weight()));
  if (queue.broadcast())
    details->Add("Broadcast", "each task goes to every worker");
  details->Add("At most", BoundText(queue));
  if (queue.fairness_mode() == v1::FAIRNESS_MODE_FAIRNESS_FIRST)
    details->Add("Fairness", "before priority");
  details->Add("Tenants", WeightsText(queue));
  if (queue.has_priority_aging()) {
    details->Add("Priority aging",
                 StrCat("a step each ", DurationText(queue.priority_aging())));
  }
  details->Add("Defaults", DefaultsText(queue.task_defaults()));
}

}  // namespace

void PrintQueueTable(
    const google::protobuf::RepeatedPtrField<v1::Queue>& queues,
    const Output& output) {
  if (output.quiet()) {
    for (const v1::Queue& queue : queues) *output.out() << queue.name() << "\n";
    return;
  }
  Table table({{.name = "NAME"},
               {.name = "STATE"},
               {.name = "READY", .align = Align::kRight},
               {.name = "SCHEDULED", .align = Align::kRight},
               {.name = "BLOCKED", .align = Align::kRight},
               {.name = "LEASED", .align = Align::kRight},
               {.name = "DEAD", .align = Align::kRight},
               {.name = "WORKERS", .align = Align::kRight},
               {.name = "OLDEST", .align = Align::kRight}});
  for (const v1::Queue& queue : queues) {
    const v1::QueueCounts& counts = queue.counts();
    table.AddRow(
        {queue.name(),
         Cell(StateOf(queue), queue.paused() ? Style::kYellow : Style::kPlain),
         StrCat(counts.ready()), StrCat(counts.scheduled()),
         StrCat(counts.blocked()), StrCat(counts.leased()),
         StrCat(counts.dead_letters()), StrCat(counts.workers()),
         AgeText(counts)});
  }
  table.Print(output.out(), output.color());
}

void PrintQueue(const v1::Queue& queue, const Output& output) {
  output.Print(queue, [&] {
    const v1::QueueCounts& counts = queue.counts();
    Details details;
    details.Add("Name", queue.name());
    details.Add("Description", queue.description());
    details.Add("State", StateOf(queue));
    AddSettings(queue, &details);
    details.Add("Ready", StrCat(counts.ready()));
    details.Add("Scheduled", StrCat(counts.scheduled()));
    if (counts.blocked() > 0) details.Add("Blocked", StrCat(counts.blocked()));
    details.Add("Leased", StrCat(counts.leased()));
    if (queue.dead_letter() || counts.dead_letters() > 0) {
      details.Add("Dead letters",
                  StrCat(counts.dead_letters(),
                         queue.dead_letter() ? "" : " (no more are kept)"));
    }
    details.Add("Workers", StrCat(counts.workers()));
    details.Add("Oldest", AgeText(counts));
    details.Add("Created", TimeText(queue.create_time()));
    details.Add("Etag", queue.etag());
    details.Print(output.out(), output.color());
  });
}

}  // namespace apium::cli
