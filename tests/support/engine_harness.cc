#include "tests/support/engine_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/fingerprint.h"
#include "tests/support/engine_text.h"

namespace apium::broker {
namespace {

constexpr int kSettleTurnsMax = 100000;

Fingerprint FingerprintOf(const TaskContent& content,
                          const SubmitOptions& options) {
  FingerprintBuilder builder;
  builder.AddBytes(content.type)
      .AddBytes(content.queue)
      .AddUint64(content.priority)
      .AddBytes(content.payload.data)
      .AddUint64(content.retry_policy.max_attempts)
      .AddBytes(content.batch_id)
      .AddBytes(options.unique.has_value() ? options.unique->key : "")
      .AddBytes(options.exchange)
      .AddBytes(options.routing_key);
  for (const auto& duration :
       {options.delay, options.eta, options.expire_after}) {
    builder.AddBool(duration.has_value());
    if (duration.has_value()) {
      builder.AddInt64(absl::ToInt64Nanoseconds(*duration));
    }
  }
  return builder.Finish();
}

// Returns and forgets.
std::string TakeJoined(std::vector<std::string>* texts, const char* separator) {
  return absl::StrJoin(std::exchange(*texts, {}), separator);
}

}  // namespace

// Remembers the answers to one call.
class EngineHarness::CallSink final : public ReplySink {
 public:
  void Take(uint64_t tag, Reply&& reply) override {
    EXPECT_EQ(tag, kTag);
    texts.push_back(ReplyText(reply));
    replies.push_back(std::move(reply));
  }

  static constexpr uint64_t kTag = 7;
  std::vector<Reply> replies;      // all
  std::vector<std::string> texts;  // those not read yet
};

struct EngineHarness::Worker {
  WorkerOptions options;
  std::shared_ptr<WorkerStream> stream;  // null: none is open
  std::string session_id;
  std::vector<std::string> deliveries;
  std::vector<std::string> told;
  std::map<std::string, LeaseName> last_lease;  // by task id
  std::map<uint64_t, LeaseName> held;           // by epoch
};

// A stream's end at the worker; once broken, nothing arrives.
class EngineHarness::WorkerStream final : public WorkerSink {
 public:
  WorkerStream(EngineHarness* harness, Worker* worker)
      : harness_(harness), worker_(worker) {}

  void Take(WorkerPush&& push) override {
    if (!broken) harness_->OnPush(worker_, push);
  }

  bool broken = false;

 private:
  EngineHarness* const harness_;
  Worker* const worker_;
};

EngineHarness::EngineHarness(const EngineOptions& options)
    : driver_(options, absl::FromUnixSeconds(1'700'000'000)) {
  driver_.set_turn_observer([this](const Effects& effects) {
    absl::StrAppend(&trace_, "at ", absl::ToUnixNanos(now()), "\n",
                    EffectsText(effects), "writes ",
                    std::string(effects.writes.records()), "\n");
    for (const OutboxEntry& entry : effects.outbox) {
      EXPECT_EQ(entry.position, last_outbox_position_ + 1) << "outbox gap";
      EXPECT_FALSE(entry.outcomes.empty());
      last_outbox_position_ = entry.position;
    }
  });
  APIUM_CHECK_OK(driver_.Recover());
  RunTurn({});
  Settle();
}

EngineHarness::~EngineHarness() = default;

// --- Submitters and readers ---

std::string EngineHarness::Submit(std::string_view id,
                                  const SubmitOptions& options) {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = options.namespace_name;
  content->task_id = std::string(id);
  content->type = options.type;
  if (options.exchange.empty()) content->queue = options.queue;
  content->priority = static_cast<uint8_t>(options.priority);
  content->payload.data = options.data;
  content->retry_policy = options.retry;
  content->headers = options.headers;
  content->result_ttl = options.result_ttl;
  content->batch_id = options.batch_id;
  if (options.unique.has_value())
    content->unique = std::make_shared<Unique>(*options.unique);
  content->result_mode = options.result_mode;
  content->delivery_mode = options.delivery_mode;
  if (options.placement.has_value())
    content->placement = std::make_shared<Placement>(*options.placement);
  if (options.eta.has_value()) content->eta = now() + *options.eta;
  content->fingerprint = FingerprintOf(*content, options);
  std::shared_ptr<const RequestIdentity> request;
  if (!options.request_id.empty()) {
    request = std::make_shared<RequestIdentity>(RequestIdentity{
        .id = options.request_id, .fingerprint = content->fingerprint});
  }
  std::shared_ptr<const Route> route;
  if (!options.exchange.empty()) {
    route = std::make_shared<Route>(Route{.exchange = options.exchange,
                                          .routing_key = options.routing_key});
  }
  const int call = Send(SubmitCommand{.content = std::move(content),
                                      .delay = options.delay,
                                      .expire_after = options.expire_after,
                                      .report_outcome = options.report_outcome,
                                      .request = std::move(request),
                                      .route = std::move(route),
                                      .unsaid = options.unsaid});
  last_submit_ = AnswerOf<SubmitReply>(call);
  last_task_id_ = last_submit_.task_id;
  // What follows are outcomes, if they were asked for.
  return TakeFirstAnswer(call);
}

std::string EngineHarness::Cancel(std::string_view id,
                                  std::string_view reason) {
  const int call = Send(CancelTaskCommand{.namespace_name = "default",
                                          .task_id = std::string(id),
                                          .reason = std::string(reason)});
  last_cancel_ = AnswerOf<TaskReply>(call).cancelled;
  return Answers(call);
}

std::string EngineHarness::last_cancel_result() const {
  return CancelResultName(last_cancel_);
}

std::string EngineHarness::CancelMany(CancelTasksCommand cancel) {
  cancel.namespace_name = "default";
  if (cancel.filter.has_value()) cancel.filter->namespace_name = "default";
  return Answers(Send(std::move(cancel)));
}

std::string EngineHarness::Update(std::string_view id,
                                  UpdateTaskCommand update) {
  update.namespace_name = "default";
  update.task_id = std::string(id);
  return Answers(Send(std::move(update)));
}

std::string EngineHarness::Count(const std::string& queue) {
  return Answers(
      Send(CountTasksCommand{.namespace_name = "default", .queue = queue}));
}

std::string EngineHarness::State(std::string_view id) {
  return Answers(Send(
      GetTaskCommand{.namespace_name = "default", .task_id = std::string(id)}));
}

TaskSnapshot EngineHarness::Task(std::string_view id) {
  return AnswerOf<TaskReply>(Send(GetTaskCommand{.namespace_name = "default",
                                                 .task_id = std::string(id)}))
      .task;
}

int EngineHarness::Wait(std::string_view id, absl::Duration timeout) {
  return Send(WaitTaskCommand{.namespace_name = "default",
                              .task_id = std::string(id),
                              .deadline = now() + timeout});
}

std::string EngineHarness::Events(std::string_view id) {
  const TaskSnapshot task = Task(id);
  const TaskHistory& history =
      task.outcome == nullptr ? task.history : task.outcome->history;
  return absl::StrJoin(
      history.events, " ", [](std::string* out, const TaskEvent& event) {
        absl::StrAppend(out, EventName(event.kind), "#", event.attempt);
      });
}

int EngineHarness::Watch(std::string_view id) {
  return Send(WatchTaskCommand{.namespace_name = "default",
                               .task_id = std::string(id)});
}

std::string EngineHarness::Answers(int call) {
  return TakeJoined(&calls_.at(call)->texts, " ");
}

std::string EngineHarness::TakeFirstAnswer(int call) {
  std::vector<std::string>& texts = calls_.at(call)->texts;
  if (texts.empty()) return "";
  std::string first = std::move(texts.front());
  texts.erase(texts.begin());
  return first;
}

void EngineHarness::Forget(int call) {
  Post(ForgetSinkCommand{.sink = calls_.at(call)});
}

std::string EngineHarness::List(ListTasksCommand filter) {
  if (filter.filter.namespace_name.empty())
    filter.filter.namespace_name = "default";
  std::vector<std::string> pages;
  do {
    const TaskPageReply page = AnswerOf<TaskPageReply>(Send(filter));
    if (!page.status.ok()) return StatusText(page.status);
    std::vector<std::string> ids;
    for (const TaskSnapshot& task : page.tasks) {
      ids.push_back(task.content->task_id);
    }
    EXPECT_LE(ids.size(), filter.page_size);
    if (!ids.empty()) pages.push_back(absl::StrJoin(ids, " "));
    filter.page_token = page.next_page_token;
  } while (!filter.page_token.empty());
  return absl::StrJoin(pages, " | ");
}

// --- Workers ---

EngineHarness::Worker& EngineHarness::WorkerNamed(const std::string& worker) {
  std::unique_ptr<Worker>& entry = workers_[worker];
  if (entry == nullptr) entry = std::make_unique<Worker>();
  return *entry;
}

std::string EngineHarness::Connect(const std::string& worker,
                                   const WorkerOptions& options) {
  Worker& record = WorkerNamed(worker);
  record.options = options;
  record.session_id.clear();
  record.held.clear();
  return OpenSession(worker, {});
}

std::string EngineHarness::OpenSession(const std::string& worker,
                                       std::vector<LeaseName> held) {
  Worker& record = WorkerNamed(worker);
  record.stream = std::make_shared<WorkerStream>(this, &record);
  record.told.clear();
  Post(OpenSessionCommand{.sink = record.stream,
                          .namespace_name = record.options.namespace_name,
                          .worker_id = worker,
                          .session_id = record.session_id,
                          .held_leases = std::move(held),
                          .task_types = record.options.types,
                          .queues = record.options.queues,
                          .queue_weights = record.options.queue_weights,
                          .labels = record.options.labels,
                          .slots = record.options.slots});
  return Told(worker);
}

void EngineHarness::Credit(const std::string& worker, uint32_t credit) {
  if (WorkerNamed(worker).stream == nullptr) Connect(worker);
  Post(WorkerReportCommand{.sink = WorkerNamed(worker).stream,
                           .credit = credit});
}

std::string EngineHarness::Delivered(const std::string& worker) {
  return TakeJoined(&WorkerNamed(worker).deliveries, " ");
}

std::string EngineHarness::Told(const std::string& worker) {
  return TakeJoined(&WorkerNamed(worker).told, ", ");
}

LeaseName EngineHarness::Lease(const std::string& worker,
                               const std::string& id) {
  const auto& leases = WorkerNamed(worker).last_lease;
  const auto lease = leases.find(id);
  if (lease == leases.end()) {
    ADD_FAILURE() << id << " was never delivered to " << worker;
    return {.task_id = id};
  }
  return lease->second;
}

std::string EngineHarness::Report(const std::string& worker,
                                  WorkerReportCommand report) {
  report.sink = WorkerNamed(worker).stream;
  Post(std::move(report));
  return Told(worker);
}

std::string EngineHarness::Start(const std::string& worker,
                                 const std::string& id) {
  WorkerReportCommand report;
  report.started.push_back({.lease = Lease(worker, id), .start_time = now()});
  return Report(worker, std::move(report));
}

std::string EngineHarness::ReportProgress(const std::string& worker,
                                          const std::string& id,
                                          const Progress& progress) {
  WorkerReportCommand report;
  report.progress.push_back({.lease = Lease(worker, id), .progress = progress});
  return Report(worker, std::move(report));
}

std::string EngineHarness::ReportOutcome(const std::string& worker,
                                         ExecutionReport outcome) {
  WorkerReportCommand report;
  report.outcomes.push_back(std::move(outcome));
  return Report(worker, std::move(report));
}

std::string EngineHarness::Succeed(const std::string& worker,
                                   const std::string& id,
                                   const std::string& result) {
  return ReportOutcome(worker, {.lease = Lease(worker, id),
                                .kind = ExecutionReport::Kind::kSucceeded,
                                .start_time = now(),
                                .result = {.data = result}});
}

std::string EngineHarness::Fail(const std::string& worker,
                                const std::string& id,
                                const FailOptions& options) {
  return ReportOutcome(worker,
                       {.lease = Lease(worker, id),
                        .kind = ExecutionReport::Kind::kFailed,
                        .start_time = now(),
                        .failure = {.type = options.type,
                                    .message = options.message,
                                    .non_retryable = options.non_retryable}});
}

std::string EngineHarness::Retry(const std::string& worker,
                                 const std::string& id, absl::Duration delay) {
  return ReportOutcome(worker, {.lease = Lease(worker, id),
                                .kind = ExecutionReport::Kind::kRetry,
                                .start_time = now(),
                                .failure = {.type = "Again"},
                                .retry_delay = delay});
}

std::string EngineHarness::Return(const std::string& worker,
                                  const std::string& id) {
  return ReportOutcome(worker, {.lease = Lease(worker, id),
                                .kind = ExecutionReport::Kind::kReturned,
                                .reason = "not now"});
}

std::string EngineHarness::ReturnFor(const std::string& worker,
                                     const std::string& id,
                                     absl::Duration delay) {
  return ReportOutcome(worker, {.lease = Lease(worker, id),
                                .kind = ExecutionReport::Kind::kReturned,
                                .reason = "not now",
                                .return_delay = delay});
}

std::string EngineHarness::Crash(const std::string& worker,
                                 const std::string& id,
                                 const std::string& message) {
  return ReportOutcome(worker,
                       {.lease = Lease(worker, id),
                        .kind = ExecutionReport::Kind::kCrashed,
                        .start_time = now(),
                        .failure = {.type = "Signal", .message = message}});
}

void EngineHarness::Lose(const std::string& worker) {
  Disconnect(worker);
  Advance(EngineOptions().reattach_grace);
}

std::string EngineHarness::ObeyCancel(const std::string& worker,
                                      const std::string& id) {
  return ReportOutcome(worker, {.lease = Lease(worker, id),
                                .kind = ExecutionReport::Kind::kCancelled,
                                .start_time = now(),
                                .reason = "told to"});
}

std::string EngineHarness::SayDraining(const std::string& worker) {
  return Report(worker, {.draining = true});
}

void EngineHarness::Disconnect(const std::string& worker) {
  Worker& record = WorkerNamed(worker);
  if (record.stream == nullptr) return;
  const std::shared_ptr<WorkerStream> stream =
      std::exchange(record.stream, nullptr);
  stream->broken = true;
  Post(SessionDisconnectedCommand{.sink = stream});
}

std::string EngineHarness::Reconnect(const std::string& worker) {
  std::vector<LeaseName> held;
  for (const auto& [epoch, lease] : WorkerNamed(worker).held) {
    held.push_back(lease);
  }
  return OpenSession(worker, std::move(held));
}

std::string EngineHarness::ReconnectHolding(
    const std::string& worker, const std::vector<std::string>& ids) {
  Worker& record = WorkerNamed(worker);
  record.held.clear();
  for (const std::string& id : ids) {
    const LeaseName lease = Lease(worker, id);
    record.held[lease.epoch] = lease;
  }
  return Reconnect(worker);
}

std::string EngineHarness::Drain(const std::string& worker) {
  return Answers(Send(
      DrainWorkerCommand{.namespace_name = "default", .worker_id = worker}));
}

std::string EngineHarness::Workers() {
  return Answers(Send(ListWorkersCommand{.namespace_name = "default"}));
}

std::string EngineHarness::LabelOf(uint64_t epoch) const {
  const auto label = labels_.find(epoch);
  return label == labels_.end() ? absl::StrCat("epoch ", epoch) : label->second;
}

void EngineHarness::OnPush(Worker* worker, const WorkerPush& push) {
  std::vector<std::string>& told = worker->told;
  if (const auto* delivery = std::get_if<Delivery>(&push.body)) {
    const std::string& id = delivery->content->task_id;
    std::string label = absl::StrCat(id, "#", delivery->attempt);
    labels_[delivery->epoch] = label;
    worker->deliveries.push_back(std::move(label));
    const LeaseName lease = {
        .task_id = id, .attempt = delivery->attempt, .epoch = delivery->epoch};
    worker->last_lease[id] = lease;
    worker->held[lease.epoch] = lease;
  } else if (const auto* ack = std::get_if<OutcomeAcknowledged>(&push.body)) {
    worker->held.erase(ack->epoch);
    told.push_back(absl::StrCat("ack ", LabelOf(ack->epoch)));
  } else if (const auto* refused = std::get_if<ReportRefused>(&push.body)) {
    worker->held.erase(refused->epoch);
    told.push_back(absl::StrCat("refused ", LabelOf(refused->epoch), " ",
                                StatusText(refused->status)));
  } else if (const auto* cancel = std::get_if<CancelDelivery>(&push.body)) {
    EXPECT_EQ(absl::StrCat(cancel->lease.task_id, "#", cancel->lease.attempt),
              LabelOf(cancel->lease.epoch));
    told.push_back(absl::StrCat("cancel ", LabelOf(cancel->lease.epoch)));
  } else if (const auto* opened = std::get_if<SessionOpened>(&push.body)) {
    worker->session_id = opened->session_id;
    std::string text = opened->resumed ? "resumed" : "opened";
    if (!opened->lost_epochs.empty()) text += " lost";
    for (const uint64_t epoch : opened->lost_epochs) {
      worker->held.erase(epoch);
      absl::StrAppend(&text, " ", LabelOf(epoch));
    }
    told.push_back(std::move(text));
  } else if (const auto* closed = std::get_if<SessionClosed>(&push.body)) {
    told.push_back(absl::StrCat("closed ", StatusText(closed->status)));
  } else if (const auto* chunks = std::get_if<ChunksAcknowledged>(&push.body)) {
    told.push_back(absl::StrCat(
        "chunks ", LabelOf(chunks->epoch), " ", chunks->number,
        chunks->status.ok() ? ""
                            : absl::StrCat(" ", StatusText(chunks->status))));
  } else {
    told.push_back("drain");
  }
}

// --- Queues ---

std::string EngineHarness::CreateQueue(const std::string& queue,
                                       const QueueSettings& settings) {
  return Answers(Send(CreateQueueCommand{
      .namespace_name = "default", .queue = queue, .settings = settings}));
}

std::string EngineHarness::UpdateQueue(UpdateQueueCommand update) {
  if (update.namespace_name.empty()) update.namespace_name = "default";
  return Answers(Send(std::move(update)));
}

std::string EngineHarness::Pause(const std::string& queue) {
  return UpdateQueue({.queue = queue, .paused = true});
}

std::string EngineHarness::Resume(const std::string& queue) {
  return UpdateQueue({.queue = queue, .paused = false});
}

std::string EngineHarness::DeleteQueue(const std::string& queue) {
  return Answers(
      Send(DeleteQueueCommand{.namespace_name = "default", .queue = queue}));
}

std::string EngineHarness::Purge(const std::string& queue) {
  return Answers(
      Send(PurgeQueueCommand{.namespace_name = "default", .queue = queue}));
}

std::string EngineHarness::Peek(const std::string& queue, uint32_t max_tasks) {
  return Answers(Send(PeekQueueCommand{
      .namespace_name = "default", .queue = queue, .max_tasks = max_tasks}));
}

std::string EngineHarness::ReleaseKey(const std::string& ordering_key,
                                      const std::string& queue) {
  return Answers(Send(ReleaseOrderingKeyCommand{.namespace_name = "default",
                                                .queue = queue,
                                                .ordering_key = ordering_key}));
}

std::string EngineHarness::Queue(const std::string& queue) {
  return Answers(
      Send(GetQueueCommand{.namespace_name = "default", .queue = queue}));
}

QueueInfo EngineHarness::QueueDetails(const std::string& queue) {
  return AnswerOf<QueueReply>(
             Send(GetQueueCommand{.namespace_name = "default", .queue = queue}))
      .queue;
}

// --- Time, faults, and what came out ---

void EngineHarness::Post(Command command) {
  if (batching_) {
    batched_.push_back(std::move(command));
    return;
  }
  std::vector<Command> commands;
  commands.push_back(std::move(command));
  RunTurn(std::move(commands));
  Settle();
}

void EngineHarness::InOneTurn(const std::function<void()>& calls) {
  batching_ = true;
  calls();
  batching_ = false;
  RunTurn(std::exchange(batched_, {}));
  Settle();
}

void EngineHarness::WithoutSettling(const std::function<void()>& calls) {
  settling_ = false;
  calls();
  settling_ = true;
  Settle();
}

void EngineHarness::RunTurn(std::vector<Command> commands) {
  APIUM_CHECK_OK(driver_.Turn(std::move(commands)));
  if (!holding_) APIUM_CHECK_OK(driver_.Release());
}

void EngineHarness::Settle() {
  for (int turns = 0; settling_ && driver_.wants_turn(); ++turns) {
    ASSERT_LT(turns, kSettleTurnsMax) << "the engine wants turns for ever";
    RunTurn({});
  }
}

void EngineHarness::Advance(absl::Duration step) {
  const absl::Time end = now() + step;
  while (driver_.next_turn_time() <= end) {
    driver_.set_now(driver_.next_turn_time());
    RunTurn({});
    Settle();
  }
  driver_.set_now(end);
}

void EngineHarness::Jump(absl::Duration step) {
  driver_.set_now(now() + step);
  RunTurn({});
  Settle();
}

void EngineHarness::Release() {
  holding_ = false;
  APIUM_CHECK_OK(driver_.Release());
}

void EngineHarness::Restart() {
  holding_ = false;
  APIUM_CHECK_OK(driver_.Restart());
  AfterRecovery();
}

void EngineHarness::Crash(size_t surviving_turns) {
  holding_ = false;
  APIUM_CHECK_OK(driver_.Crash(surviving_turns));
  AfterRecovery();
}

void EngineHarness::AfterRecovery() {
  for (auto& [name, worker] : workers_) {
    if (worker->stream != nullptr) worker->stream->broken = true;
    worker->stream = nullptr;
  }
  last_outbox_position_ = driver_.engine().outbox_last_position();
  trace_ += "recovered\n";
  RunTurn({});
  Settle();
}

std::string EngineHarness::Outbox() const {
  return absl::StrJoin(
      driver_.released_outbox(), "; ",
      [](std::string* out, const OutboxEntry& entry) {
        absl::StrAppend(
            out, entry.position, ": ",
            absl::StrJoin(entry.outcomes, ", ",
                          [](std::string* text, const auto& outcome) {
                            absl::StrAppend(text, outcome->task_id, " ",
                                            StateName(outcome->state));
                          }));
      });
}

void EngineHarness::ConfirmOutbox(uint64_t position) {
  Post(OutboxConfirmedCommand{.position = position});
}

Outcome EngineHarness::OutcomeOf(std::string_view id) const {
  std::vector<std::shared_ptr<const Outcome>> found;
  for (const OutboxEntry& entry : driver_.released_outbox()) {
    for (const auto& outcome : entry.outcomes) {
      if (outcome->task_id == id) found.push_back(outcome);
    }
  }
  EXPECT_EQ(found.size(), 1u) << "outcomes of " << id;
  return found.empty() ? Outcome() : *found.front();
}

EngineStats EngineHarness::Stats() {
  return AnswerOf<StatsReply>(Send(GetStatsCommand{})).stats;
}

QueueStats EngineHarness::StatsOf(const std::string& queue) {
  for (QueueStats& stats : Stats().queues) {
    if (stats.queue == queue) return stats;
  }
  ADD_FAILURE() << "no stats of queue " << queue;
  return {};
}

ReplyAddress EngineHarness::NewCall() {
  calls_.push_back(std::make_shared<CallSink>());
  return {.sink = calls_.back(), .tag = CallSink::kTag};
}

const Reply* EngineHarness::FirstReply(int call) const {
  const std::vector<Reply>& replies = calls_.at(call)->replies;
  if (!replies.empty()) return &replies.front();
  EXPECT_TRUE(batching_ || holding_) << "no answer";
  return nullptr;
}

void EngineHarness::FailForWrongReply() {
  ADD_FAILURE() << "another kind of answer than expected";
}

}  // namespace apium::broker
