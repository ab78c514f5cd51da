#include "tests/results/core_harness.h"

#include <utility>

#include "common/check.h"
#include "common/error_reason.h"
#include "common/strings.h"
#include "results/row_format.h"

namespace apium::results {
namespace {

std::string StateName(const v1::TaskOutcome& outcome) {
  std::string name = v1::TaskState_Name(outcome.state());
  return name.substr(std::string("TASK_STATE_").size());
}

std::string Ids(
    const google::protobuf::RepeatedPtrField<v1::TaskOutcome>& outcomes) {
  std::string text = "[";
  for (const v1::TaskOutcome& outcome : outcomes) {
    StrAppend(&text, text.size() > 1 ? " " : "", outcome.task_id());
  }
  return text + "]";
}

std::string StatusText(const absl::Status& status) {
  std::string text = absl::StatusCodeToString(status.code());
  const std::string reason = ReasonOf(status);
  if (!reason.empty()) {
    StrAppend(&text, " / ", reason);
  }
  return text;
}

uint64_t Number(CallId id) { return static_cast<uint64_t>(id); }

}  // namespace

v1::TaskOutcome Outcome(const std::string& id) {
  v1::TaskOutcome outcome;
  outcome.set_namespace_("default");
  outcome.set_task_id(id);
  outcome.set_type("t");
  outcome.set_queue("q");
  outcome.set_state(v1::TASK_STATE_SUCCEEDED);
  outcome.mutable_result()->set_data("r-" + id);
  return outcome;
}

CoreHarness::CoreHarness(ResultCoreOptions options)
    : options_(options), store_(std::make_unique<MemoryStore>()) {
  now_.wall = absl::FromUnixSeconds(1'700'000'000);
  now_.monotonic = absl::Seconds(1000);
  Restart();
}

void CoreHarness::Hello(uint64_t stream, const std::string& shard_id) {
  commands_.push_back(
      PublishBegin{.stream = CallId{stream}, .shard_id = shard_id});
}

void CoreHarness::Publish(uint64_t stream, uint64_t position,
                          const std::vector<v1::TaskOutcome>& outcomes) {
  auto message = std::make_unique<v1::PublishOutcomesRequest>();
  message->mutable_batch()->set_position(position);
  for (const v1::TaskOutcome& outcome : outcomes) {
    *message->mutable_batch()->add_outcomes() = outcome;
  }
  commands_.push_back(
      PublishBatch{.stream = CallId{stream}, .message = std::move(message)});
}

void CoreHarness::EndPublish(uint64_t stream) {
  commands_.push_back(PublishEnd{.stream = CallId{stream}});
}

void CoreHarness::Get(uint64_t call, const std::string& id,
                      const std::string& name_space) {
  commands_.push_back(
      GetResult{.call = CallId{call}, .name_space = name_space, .task_id = id});
}

void CoreHarness::Wait(uint64_t call, const std::string& id,
                       absl::Duration timeout) {
  commands_.push_back(WaitResult{.call = CallId{call},
                                 .name_space = "default",
                                 .task_id = id,
                                 .timeout = timeout});
}

void CoreHarness::CancelWait(uint64_t call) {
  commands_.push_back(results::CancelWait{.call = CallId{call}});
}

void CoreHarness::Forget(uint64_t call, const std::string& id) {
  commands_.push_back(ForgetResult{
      .call = CallId{call}, .name_space = "default", .task_id = id});
}

void CoreHarness::List(uint64_t call, ListResults list) {
  list.call = CallId{call};
  if (list.name_space.empty()) {
    list.name_space = "default";
  }
  if (list.page_size == 0) {
    list.page_size = 100;
  }
  commands_.push_back(std::move(list));
}

void CoreHarness::List(uint64_t call, size_t page_size,
                       const std::string& page_token) {
  ListResults list;
  list.page_size = page_size;
  list.page_token = page_token;
  List(call, std::move(list));
}

void CoreHarness::Watch(uint64_t stream, const std::string& after_cursor,
                        const ResultFilter& filter, bool with_data) {
  commands_.push_back(WatchBegin{.stream = CallId{stream},
                                 .name_space = "default",
                                 .after_cursor = after_cursor,
                                 .filter = filter,
                                 .with_data = with_data});
}

void CoreHarness::Taken(uint64_t stream, size_t bytes) {
  commands_.push_back(WatchTaken{.stream = CallId{stream}, .bytes = bytes});
}

void CoreHarness::EndWatch(uint64_t stream) {
  commands_.push_back(WatchEnd{.stream = CallId{stream}});
}

std::string CoreHarness::Step() {
  StepUnsynced();
  return Sync();
}

std::string CoreHarness::StepAll() {
  std::string text = Step();
  while (core_->NextWake() == absl::ZeroDuration()) {
    text += Step();
  }
  return text;
}

void CoreHarness::StepUnsynced() {
  auto effects = std::make_unique<ResultEffects>();
  APIUM_CHECK_OK(core_->Apply(&commands_, now_, effects.get()));
  if (!effects->writes.empty()) {
    APIUM_CHECK_OK(store_->Write(effects->writes));
  }
  unsynced_.push_back(std::move(effects));
}

std::string CoreHarness::Sync() {
  APIUM_CHECK_OK(store_->Sync());
  std::string text;
  for (const auto& effects : unsynced_) {
    if (on_release) {
      on_release(*effects);
    }
    text += Text(*effects);
  }
  unsynced_.clear();
  return text;
}

void CoreHarness::Crash(size_t surviving_writes) {
  store_ = store_->CrashCopy(surviving_writes);
  unsynced_.clear();
  Restart();
}

void CoreHarness::Restart() {
  commands_.clear();
  core_ = std::make_unique<ResultCore>(options_, store_.get());
  StoreBatch writes;
  APIUM_CHECK_OK(core_->Recover("store-1", &writes));
  APIUM_CHECK_OK(store_->Write(writes));
  APIUM_CHECK_OK(store_->Sync());
}

void CoreHarness::Advance(absl::Duration step) {
  now_.wall += step;
  now_.monotonic += step;
}

void CoreHarness::Compact() {
  StoreBatch batch;
  APIUM_CHECK_OK(store_->Scan(
      "\x01", "\xff", [&](std::string_view key, std::string_view value) {
        if (IsExpiredRow(key, value, absl::ToUnixMillis(now_.wall))) {
          batch.Delete(key);
        }
        return true;
      }));
  APIUM_CHECK_OK(store_->Write(batch));
  APIUM_CHECK_OK(store_->Sync());
}

std::string CoreHarness::Stop() {
  ResultEffects effects;
  core_->Stop(absl::UnavailableError("stopping"), &effects);
  return Text(effects);
}

std::string CoreHarness::Text(const ResultEffects& effects) {
  std::string text;
  for (const Confirmation& confirmation : effects.confirmations) {
    StrAppend(&text, "confirm ", Number(confirmation.stream), ": ",
              confirmation.position, " (", confirmation.messages_done,
              " done)\n");
  }
  for (const Reply& reply : effects.replies) {
    StrAppend(&text, "reply ", Number(reply.call), ": ");
    if (!reply.status.ok()) {
      StrAppend(&text, StatusText(reply.status));
    } else if (auto* outcome = std::get_if<v1::TaskOutcome>(&reply.value)) {
      StrAppend(&text, outcome->task_id(), " ", StateName(*outcome));
    } else if (auto* page =
                   std::get_if<v1::ListResultsResponse>(&reply.value)) {
      page_token_ = page->next_page_token();
      StrAppend(&text, Ids(page->outcomes()),
                page_token_.empty() ? "" : " and more");
    } else {
      StrAppend(&text, "OK");
    }
    text += "\n";
  }
  for (const WatchPush& push : effects.pushes) {
    const uint64_t stream = Number(push.stream);
    cursors_[stream] = push.message.cursor();
    pushed_bytes_[stream] += push.bytes;
    StrAppend(&text, "push ", stream, ": ", Ids(push.message.outcomes()), "\n");
  }
  for (const StreamEnd& end : effects.ends) {
    StrAppend(&text, "end ", Number(end.stream), ": ", StatusText(end.status),
              "\n");
  }
  return text;
}

}  // namespace apium::results
