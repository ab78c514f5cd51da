#include "cli/wait_reason_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "cli/task_text.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string TaskIdsText(const v1::WaitReason& reason) {
  return absl::StrJoin(reason.task_ids(), ",");
}

bool PrintNames(const WaitReasons& reasons, const Output& output) {
  if (!output.quiet()) return false;
  for (const v1::WaitReason& reason : reasons)
    *output.out() << WaitReasonName(reason.kind()) << "\n";
  return true;
}

}  // namespace

std::string WaitReasonName(v1::WaitReasonKind kind) {
  constexpr std::string_view kPrefix = "WAIT_REASON_KIND_";
  std::string name = v1::WaitReasonKind_Name(kind);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  return name.empty() ? StrCat(static_cast<int>(kind))
                      : absl::AsciiStrToLower(name);
}

void PrintTaskReasons(const WaitReasons& reasons, const Output& output) {
  if (PrintNames(reasons, output)) return;
  Table table({{.name = "REASON"},
               {.name = "WHY"},
               {.name = "SINCE"},
               {.name = "UNTIL"},
               {.name = "TASKS IN THE WAY"}});
  for (const v1::WaitReason& reason : reasons) {
    table.AddRow({WaitReasonName(reason.kind()), reason.text(),
                  TimeText(reason.since()), TimeText(reason.until()),
                  TaskIdsText(reason)});
  }
  table.Print(output.out(), output.color());
}

void PrintQueueReasons(const WaitReasons& reasons, const Output& output) {
  if (PrintNames(reasons, output)) return;
  Table table({{.name = "REASON"},
               {.name = "TASKS", .align = Align::kRight},
               {.name = "BLOCKED FOR", .align = Align::kRight},
               {.name = "WHY"},
               {.name = "UNTIL"}});
  for (const v1::WaitReason& reason : reasons) {
    table.AddRow({WaitReasonName(reason.kind()), StrCat(reason.tasks()),
                  reason.has_blocked_time()
                      ? RoughDurationText(reason.blocked_time())
                      : "",
                  reason.text(), TimeText(reason.until())});
  }
  table.Print(output.out(), output.color());
}

}  // namespace apium::cli
