#include "cli/task_text.h"

#include <google/protobuf/map.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "cli/table.h"
#include "client/task_client.h"
#include "common/strings.h"
#include "common/utf8.h"

namespace apium::cli {
namespace {

constexpr std::string_view kStatePrefix = "TASK_STATE_";
constexpr size_t kPayloadBytesShown = 1000;

absl::Duration ToDuration(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

using Pairs = google::protobuf::Map<std::string, std::string>;

// A line for each, in order of their names.
void AddPairs(const std::string& what, const Pairs& pairs, Details* details) {
  for (const auto& [name, value] :
       std::map<std::string, std::string>(pairs.begin(), pairs.end())) {
    details->Add(StrCat(what, " ", name), value);
  }
}

// Where it runs, and among which others.
void AddPlacement(const v1::TaskSpec& spec, Details* details) {
  details->Add("Fairness key", spec.fairness_key());
  if (spec.fairness_weight() > 0 && spec.fairness_weight() != 1) {
    details->Add("Fairness weight",
                 absl::StrFormat("%g", spec.fairness_weight()));
  }
  details->Add("Ordering key", spec.ordering_key());
  if (spec.ordering_failure_policy() == v1::ORDERING_FAILURE_POLICY_BLOCK)
    details->Add("If it fails", "those behind it wait");
  if (spec.ordering_failure_policy() == v1::ORDERING_FAILURE_POLICY_FAIL_REST)
    details->Add("If it fails", "so do those behind it");
  AddPairs("Requires", spec.required_labels(), details);
  AddPairs("Prefers", spec.preferred_labels(), details);
  details->Add("Sticky key", spec.sticky_key());
  AddPairs("Limit key", spec.limit_keys(), details);
}

Cell StateCell(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_SUCCEEDED:
      return Cell(StateName(state), Style::kGreen);
    case v1::TASK_STATE_FAILED:
    case v1::TASK_STATE_DEAD_LETTERED:
      return Cell(StateName(state), Style::kRed);
    case v1::TASK_STATE_CANCELLED:
    case v1::TASK_STATE_EXPIRED:
      return Cell(StateName(state), Style::kYellow);
    default:
      return Cell(StateName(state));
  }
}

std::string FailureText(const v1::Failure& failure) {
  if (failure.type().empty()) return failure.message();
  return failure.message().empty()
             ? failure.type()
             : StrCat(failure.type(), ": ", failure.message());
}

std::string NumberOrNothing(uint64_t number) {
  return number == 0 ? "" : StrCat(number);
}

std::string ProgressText(const v1::Progress& progress) {
  std::string text = absl::StrFormat("%g", progress.completed());
  if (progress.total() > 0)
    StrAppend(&text, absl::StrFormat(" of %g", progress.total()));
  if (!progress.state().empty()) StrAppend(&text, " ", progress.state());
  if (!progress.message().empty()) StrAppend(&text, " ", progress.message());
  if (progress.has_details()) {
    StrAppend(&text, " (details: ", progress.details().data().size(),
              " bytes)");
  }
  return text;
}

void AddOutcome(const v1::TaskOutcome& outcome, Details* details) {
  details->Add("Started", TimeText(outcome.start_time()));
  details->Add("Finished", TimeText(outcome.finish_time()));
  details->Add("Worker", outcome.worker_id());
  if (outcome.has_result())
    details->Add("Result", PayloadText(outcome.result()));
  if (outcome.has_details())
    details->Add("Last details", PayloadText(outcome.details()));
  if (outcome.has_failure()) {
    details->Add("Failure", Cell(FailureText(outcome.failure()), Style::kRed));
    details->Add("Stack", outcome.failure().stack());
  }
}

std::string EventName(v1::TaskEventKind kind) {
  constexpr std::string_view kPrefix = "TASK_EVENT_KIND_";
  std::string name = v1::TaskEventKind_Name(kind);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  return name.empty() ? StrCat(static_cast<int>(kind))
                      : absl::AsciiStrToLower(name);
}

// A line for each event: the life of the task, attempt by attempt.
void PrintHistory(const v1::Task& task, const Output& output) {
  if (task.history().empty()) return;
  *output.out() << "History:\n";
  if (task.dropped_events() > 0) {
    *output.out() << "(" << task.dropped_events()
                  << " older events are no longer kept)\n";
  }
  Table table({{.name = "TIME"},
               {.name = "EVENT"},
               {.name = "ATTEMPT", .align = Align::kRight},
               {.name = "WORKER"},
               {.name = "STATE"},
               {.name = "WHY"}});
  for (const v1::TaskEvent& event : task.history()) {
    std::string why = event.detail();
    if (event.has_failure()) {
      StrAppend(&why, why.empty() ? "" : ": ", FailureText(event.failure()));
    } else if (event.kind() == v1::TASK_EVENT_KIND_ENDED &&
               task.outcome().has_failure()) {
      why = FailureText(task.outcome().failure());
    }
    table.AddRow({TimeText(event.time()), EventName(event.kind()),
                  NumberOrNothing(event.attempt()), event.worker_id(),
                  event.state() == v1::TASK_STATE_UNSPECIFIED
                      ? Cell("")
                      : StateCell(event.state()),
                  why});
  }
  table.Print(output.out(), output.color());
}

}  // namespace

std::string StateName(v1::TaskState state) {
  std::string name = v1::TaskState_Name(state);
  if (name.starts_with(kStatePrefix)) name.erase(0, kStatePrefix.size());
  return name.empty() ? StrCat(static_cast<int>(state)) : name;
}

std::optional<v1::TaskState> StateFromName(std::string_view name) {
  v1::TaskState state = v1::TASK_STATE_UNSPECIFIED;
  const std::string full =
      StrCat(kStatePrefix, absl::AsciiStrToUpper(AbslView(name)));
  if (!v1::TaskState_Parse(full, &state) || state == v1::TASK_STATE_UNSPECIFIED)
    return std::nullopt;
  return state;
}

std::string StateNames() {
  std::string names;
  for (int state = 1; state < v1::TaskState_ARRAYSIZE; ++state) {
    StrAppend(&names, names.empty() ? "" : ", ",
              StateName(static_cast<v1::TaskState>(state)));
  }
  return names;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  const absl::Time value =
      absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", value, absl::UTCTimeZone());
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return absl::FormatDuration(ToDuration(duration));
}

std::string RoughDurationText(const google::protobuf::Duration& duration) {
  const absl::Duration exact = ToDuration(duration);
  return absl::FormatDuration(absl::Trunc(exact, exact < absl::Seconds(10)
                                                     ? absl::Milliseconds(1)
                                                     : absl::Seconds(1)));
}

std::string PayloadText(const v1::Payload& payload) {
  const std::string& data = payload.data();
  if (!payload.content_encoding().empty() || !IsValidUtf8(data)) {
    return StrCat(data.size(), " bytes of ",
                  payload.content_type().empty() ? "application/octet-stream"
                                                 : payload.content_type(),
                  payload.content_encoding().empty()
                      ? ""
                      : StrCat(", ", payload.content_encoding()));
  }
  return ToValidUtf8(data, kPayloadBytesShown);
}

void PrintTaskTable(const google::protobuf::RepeatedPtrField<v1::Task>& tasks,
                    const Output& output) {
  if (output.quiet()) {
    for (const v1::Task& task : tasks)
      *output.out() << task.spec().task_id() << "\n";
    return;
  }
  Table table({{.name = "ID"},
               {.name = "TYPE"},
               {.name = "QUEUE"},
               {.name = "PRIORITY", .align = Align::kRight},
               {.name = "STATE"},
               {.name = "ATTEMPT", .align = Align::kRight},
               {.name = "CREATED"}});
  for (const v1::Task& task : tasks) {
    table.AddRow({task.spec().task_id(), task.spec().type(),
                  task.spec().queue(), StrCat(task.spec().priority()),
                  StateCell(task.state()), StrCat(task.attempt()),
                  TimeText(task.create_time())});
  }
  table.Print(output.out(), output.color());
}

void PrintTaskDetails(const v1::Task& task, const Output& output) {
  const v1::TaskSpec& spec = task.spec();
  Details details;
  details.Add("ID", spec.task_id());
  details.Add("Type", spec.type());
  details.Add("Queue", spec.queue());
  details.Add("Namespace", task.namespace_());
  details.Add("State", StateCell(task.state()));
  if (task.cancel_requested() && !IsTerminal(task.state()))
    details.Add("Cancel", "requested, not obeyed yet");
  details.Add("Waiting", task.waiting_reason());
  details.Add("Priority", StrCat(spec.priority()));
  details.Add("Attempt", NumberOrNothing(task.attempt()));
  details.Add("Failures", NumberOrNothing(task.failures()));
  details.Add("Crashes", NumberOrNothing(task.crashes()));
  details.Add("Returns", NumberOrNothing(task.returns()));
  if (task.suspect()) details.Add("Suspect", "runs alone after a crash");
  details.Add("Created", TimeText(task.create_time()));
  details.Add("Scheduled", TimeText(task.schedule_time()));
  details.Add("Expires", TimeText(spec.expire_time()));
  if (spec.has_payload()) details.Add("Payload", PayloadText(spec.payload()));
  AddPlacement(spec, &details);
  AddPairs("Header", spec.headers(), &details);
  if (task.has_progress())
    details.Add("Progress", ProgressText(task.progress()));
  details.Add("Chunks", task.chunks() == 0 ? "" : StrCat(task.chunks()));
  if (task.has_last_failure())
    details.Add("Last failure", FailureText(task.last_failure()));
  if (task.has_outcome()) {
    AddOutcome(task.outcome(), &details);
  } else {
    details.Add("Started", TimeText(task.start_time()));
    details.Add("Worker", task.worker_id());
  }
  details.Print(output.out(), output.color());
  PrintHistory(task, output);
}

void PrintTaskLine(const v1::Task& task, const Output& output) {
  const Cell state = StateCell(task.state());
  std::string more;
  if (task.has_progress() && !IsTerminal(task.state()))
    more = ProgressText(task.progress());
  if (!task.waiting_reason().empty()) more = task.waiting_reason();
  if (task.cancel_requested() && !IsTerminal(task.state())) {
    more = "cancel requested, not obeyed yet";
  }
  if (task.outcome().has_failure())
    more = FailureText(task.outcome().failure());
  *output.out() << Printable(task.spec().task_id()) << "  "
                << Styled(state.text, state.style, output.color())
                << (more.empty() ? "" : "  ") << Printable(more) << "\n";
}

void PrintOutcomeLine(const v1::TaskOutcome& outcome, const Output& output) {
  const Cell state = StateCell(outcome.state());
  *output.out() << TimeText(outcome.finish_time()) << "  "
                << Printable(outcome.task_id()) << "  "
                << Printable(outcome.type()) << "  "
                << Styled(state.text, state.style, output.color());
  if (outcome.has_failure())
    *output.out() << "  " << Printable(FailureText(outcome.failure()));
  *output.out() << "\n";
}

void PrintResult(const v1::TaskOutcome& outcome, bool raw, bool to_terminal,
                 const Output& output) {
  const v1::Payload& result = outcome.result();
  if (raw) {
    *output.out() << result.data() << std::flush;
    return;
  }
  const bool text =
      result.content_encoding().empty() && IsValidUtf8(result.data());
  if (!text && to_terminal) {
    output.Note(
        StrCat("the result is ", PayloadText(result), "; --raw writes them"));
    return;
  }
  *output.out() << result.data();
  if (text && !result.data().ends_with('\n')) *output.out() << "\n";
  output.out()->flush();
}

}  // namespace apium::cli
