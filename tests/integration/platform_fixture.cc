#include "tests/integration/platform_fixture.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "tests/support/status_matchers.h"

namespace apium {

PlatformFixture::PlatformFixture() : control_(platform_.connection()) {}

void PlatformFixture::CreateQueue(const std::string& name, bool dead_letter) {
  v1::Queue queue;
  queue.set_name(name);
  queue.set_dead_letter(dead_letter);
  APIUM_EXPECT_OK(platform_.queues().Create(queue));
}

std::string PlatformFixture::Submit(SubmitOptions options) {
  const absl::StatusOr<TaskHandle> handle = tasks().Submit(std::move(options));
  APIUM_EXPECT_OK(handle);
  return handle.ok() ? handle->id() : "";
}

std::vector<std::string> PlatformFixture::SubmitMany(
    const std::vector<SubmitOptions>& all) {
  std::vector<v1::TaskSpec> specs;
  for (const SubmitOptions& options : all) specs.push_back(ToTaskSpec(options));
  std::vector<std::string> ids;
  for (const auto& handle : tasks().SubmitMany(std::move(specs))) {
    APIUM_EXPECT_OK(handle);
    ids.push_back(handle.ok() ? handle->id() : "");
  }
  return ids;
}

v1::TaskCounts PlatformFixture::CountsOf(const std::string& queue) {
  const auto counts = control_.Count(queue);
  APIUM_EXPECT_OK(counts);
  if (!counts.ok() || counts->queues_size() != 1) return {};
  return counts->queues(0);
}

void PlatformFixture::KillBroker() {
  platform_.broker().Kill();
  platform_.StartBroker();
}

bool PlatformFixture::Eventually(absl::FunctionRef<bool()> is_so) {
  const absl::Time deadline = absl::Now() + kLongTime;
  while (absl::Now() < deadline) {
    if (is_so()) return true;
  }
  return false;
}

void PlatformFixture::AwaitTime(absl::Time time) {
  for (absl::Time now = absl::Now(); now <= time; now = absl::Now()) {
    EXPECT_THAT(results().Wait("nobody", time - now + absl::Milliseconds(1)),
                HasReason("WAIT_TIMEOUT"));
  }
}

void PlatformFixture::AwaitPublished() {
  const std::string last = Submit({.type = "apium.noop"});
  APIUM_EXPECT_OK(results().Wait(last, kLongTime));
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  const absl::StatusOr<absl::Time> parsed = TimeFromProto("time", time);
  APIUM_EXPECT_OK(parsed);
  return parsed.value_or(absl::InfinitePast());
}

std::string HistoryOf(const absl::StatusOr<v1::Task>& task) {
  if (!task.ok()) return task.status().ToString();
  std::string text;
  for (const v1::TaskEvent& event : task->history()) {
    StrAppend(
        &text, text.empty() ? "" : " ",
        v1::TaskEventKind_Name(event.kind()).substr(sizeof("TASK_EVENT_KIND")));
    if (event.attempt() > 0) StrAppend(&text, "#", event.attempt());
  }
  return text;
}

}  // namespace apium
