#include "tests/support/batch_calls.h"

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/fingerprint.h"
#include "tests/support/engine_text.h"

namespace apium::broker {
namespace {

// Keeps one answer of a kind.
template <typename Body>
class AnswerSink final : public ReplySink {
 public:
  void Take(uint64_t /*tag*/, Reply&& reply) override {
    body = std::get<Body>(std::move(reply.body));
  }
  std::optional<Body> body;
};

std::string Told(const BatchReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  const BatchInfo& batch = reply.batch;
  static const char* const kStates[] = {"?", "OPEN", "CLOSED", "COMPLETE"};
  std::string text =
      absl::StrCat(kStates[static_cast<int>(batch.state)], " ", batch.succeeded,
                   "+", batch.unsuccessful, "/", batch.members);
  for (const BatchEvent event : kBatchEvents) {
    if (batch.callback_task_ids[event].empty()) continue;
    absl::StrAppend(&text, " ", BatchEventName(event));
  }
  return text;
}

BatchCallback MakeCallback(const CallbackOptions& options,
                           const std::string& namespace_name,
                           FingerprintBuilder* builder) {
  builder->AddBytes(options.type).AddBytes(options.queue);
  if (options.type.empty()) return {};
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = namespace_name;
  content->type = options.type;
  content->queue = options.queue;
  content->payload.data = absl::StrCat("payload of ", options.type);
  return {.content = std::move(content),
          .delay = options.delay,
          .expire_after = options.expire_after};
}

}  // namespace

template <typename CommandType>
std::string BatchCalls::Send(CommandType command) {
  const auto sink = std::make_shared<AnswerSink<BatchReply>>();
  command.reply = {.sink = sink};
  harness_.Post(std::move(command));
  if (!sink->body.has_value()) return "";
  last_ = *std::move(sink->body);
  return Told(last_);
}

std::string BatchCalls::CreateFull(const std::string& id) {
  return Create(id, {.on_success = {.type = "success"},
                     .on_complete = {.type = "complete"},
                     .on_first_failure = {.type = "failure"}});
}

std::string BatchCalls::Create(const std::string& id,
                               const BatchOptions& options) {
  FingerprintBuilder builder;
  builder.AddBytes(options.description);
  auto callbacks = std::make_shared<BatchCallbacks>();
  (*callbacks)[BatchEvent::kSuccess] =
      MakeCallback(options.on_success, options.namespace_name, &builder);
  (*callbacks)[BatchEvent::kComplete] =
      MakeCallback(options.on_complete, options.namespace_name, &builder);
  (*callbacks)[BatchEvent::kFirstFailure] =
      MakeCallback(options.on_first_failure, options.namespace_name, &builder);
  return Send(CreateBatchCommand{.namespace_name = options.namespace_name,
                                 .batch_id = id,
                                 .description = options.description,
                                 .callbacks = std::move(callbacks),
                                 .fingerprint = builder.Finish()});
}

std::string BatchCalls::Close(const std::string& id) {
  return Send(CloseBatchCommand{.namespace_name = "default", .batch_id = id});
}

std::string BatchCalls::Get(const std::string& id) {
  return Send(GetBatchCommand{.namespace_name = "default", .batch_id = id});
}

std::string BatchCalls::List(uint32_t page_size) {
  std::vector<std::string> pages;
  std::string page_token;
  do {
    const auto sink = std::make_shared<AnswerSink<BatchPageReply>>();
    harness_.Post(ListBatchesCommand{.reply = {.sink = sink},
                                     .namespace_name = "default",
                                     .page_size = page_size,
                                     .page_token = page_token});
    if (!sink->body->status.ok()) return StatusText(sink->body->status);
    pages.push_back(absl::StrJoin(sink->body->batches, " ",
                                  [](std::string* out, const BatchInfo& batch) {
                                    absl::StrAppend(out, batch.batch_id);
                                  }));
    page_token = sink->body->next_page_token;
  } while (!page_token.empty());
  return absl::StrJoin(pages, " | ");
}

std::string BatchCalls::CallbackOf(const std::string& id, BatchEvent event) {
  Get(id);
  return last_.batch.callback_task_ids[event];
}

std::string BatchCalls::Join(const std::string& id, const std::string& task_id,
                             SubmitOptions options) {
  options.batch_id = id;
  return harness_.Submit(task_id, options);
}

}  // namespace apium::broker
