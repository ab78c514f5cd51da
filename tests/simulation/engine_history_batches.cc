// Batches in random histories.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/engine_history.h"

namespace apium::broker {
namespace {

constexpr int kBatchIds = 8;

// The engine fills in what it is given.
SubmitAllCommand CopyOf(const SubmitAllCommand& command) {
  SubmitAllCommand copy = command;
  for (SubmitCommand& task : copy.tasks)
    task.content = std::make_shared<TaskContent>(*task.content);
  return copy;
}

}  // namespace

std::string EngineHistory::RandomBatchId() {
  return absl::StrCat("b", Below(kBatchIds));
}

// None in 100 - `percent` of 100 cases.
BatchCallback EngineHistory::RandomCallback(int percent) {
  if (!Chance(percent)) return {};
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "default";
  content->type = Chance(50) ? "job" : "mail";
  content->queue = RandomQueue();
  content->priority = Chance(70) ? 100 : 200;
  content->payload.data = absl::StrCat("callback ", Below(1000));
  content->retry_policy.jitter = 0;
  content->retry_policy.initial_delay = absl::Seconds(1);
  if (Chance(10)) {
    // Often over when the batch ends.
    content->expire_time = driver_.now() + absl::Milliseconds(Below(9000));
    moments_.push_back(content->expire_time);
  }
  BatchCallback callback = {.content = std::move(content)};
  if (Chance(20)) callback.delay = absl::Milliseconds(Below(5000));
  if (Chance(10))
    callback.expire_after = absl::Microseconds(1 + Below(9'000'000));
  return callback;
}

void EngineHistory::AddBatchCommand() {
  const std::string id = RandomBatchId();
  switch (Below(10)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      auto callbacks = std::make_shared<BatchCallbacks>();
      for (const BatchEvent event : kBatchEvents)
        (*callbacks)[event] = RandomCallback(60);
      Add(CreateBatchCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .batch_id = id,
          .callbacks = std::move(callbacks),
          .fingerprint = {.high = 1, .low = Below(4) == 0 ? 1u : 0u}});
      return;
    }
    case 4:
    case 5:
    case 6:
      Add(CloseBatchCommand{
          .reply = NewCall(), .namespace_name = "default", .batch_id = id});
      return;
    case 7:
      Add(ListBatchesCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .page_size = static_cast<uint32_t>(1 + Below(kBatchIds)),
          .page_token = Chance(50) ? "" : RandomBatchId()});
      return;
    default:
      Add(GetBatchCommand{
          .reply = NewCall(), .namespace_name = "default", .batch_id = id});
  }
}

void EngineHistory::AddSubmitAll() {
  // Now and then, a client that has not heard the answer says it again.
  if (!sent_.empty() && Chance(30)) {
    SubmitAllCommand again = CopyOf(sent_[Below(sent_.size())]);
    again.reply = NewCall();
    Add(std::move(again));
    return;
  }
  SubmitAllCommand all = {.reply = NewCall()};
  all.request = RandomRequest(2, Below(3));
  const uint64_t tasks = 1 + Below(5);
  // Often for one batch.
  const std::string batch_id = Chance(50) ? RandomBatchId() : "";
  for (uint64_t i = 0; i < tasks; ++i) {
    // The same task twice, too.
    if (i > 0 && Chance(8)) {
      SubmitCommand same = all.tasks[Below(i)];
      same.content = std::make_shared<TaskContent>(*same.content);
      all.tasks.push_back(std::move(same));
      continue;
    }
    all.tasks.push_back(RandomSubmit());
    AddUnique(&all.tasks.back());
    AddOrdering(all.tasks.back().content.get());
    if (!batch_id.empty()) all.tasks.back().content->batch_id = batch_id;
  }
  sent_.push_back(CopyOf(all));
  Add(std::move(all));
}

void EngineHistory::AuditBatches() {
  for (const std::string& id : model_.BatchIds()) {
    Add(GetBatchCommand{
        .reply = NewCall(), .namespace_name = "default", .batch_id = id});
  }
}

void EngineHistory::CloseBatches() {
  for (const std::string& id : model_.BatchIds()) {
    Add(CloseBatchCommand{
        .reply = NewCall(), .namespace_name = "default", .batch_id = id});
  }
}

void EngineHistory::CheckBatchesAreComplete() {
  for (const std::string& id : model_.IncompleteBatchIds())
    model_.AddViolation(absl::StrCat("batch ", id, " never became complete"));
}

}  // namespace apium::broker
