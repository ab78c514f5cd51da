#include "tests/simulation/engine_history.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/simulation/engine_history_actors.h"
#include "tests/support/engine_text.h"

namespace apium::broker {
namespace {

constexpr int kWorkers = 3;
constexpr int kTaskIds = 40;
constexpr int kSettleTurnsMax = 5000;

const uint8_t kPriorities[] = {1, 100, 100, 200};

// FNV-1a.
void AddToHash(const std::string& text, uint64_t* hash) {
  for (const char c : text) {
    *hash = (*hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
}

// The engine fills in a submit's content, the model makes its own.
Command CopyForModel(const Command& command) {
  Command copy = command;
  if (auto* submit = std::get_if<SubmitCommand>(&copy)) {
    submit->content = std::make_shared<TaskContent>(*submit->content);
  } else if (auto* all = std::get_if<SubmitAllCommand>(&copy)) {
    for (SubmitCommand& task : all->tasks)
      task.content = std::make_shared<TaskContent>(*task.content);
  }
  return copy;
}

}  // namespace

EngineOptions EngineHistory::RandomOptions(uint64_t seed) {
  std::mt19937_64 random(seed * 31 + 7);
  EngineOptions options;
  options.lane_window_tasks = 1 + random() % 4;
  options.timer_window = 1 + random() % 4;
  options.lease_duration = absl::Seconds(10);
  options.reattach_grace = absl::Seconds(5);
  options.finished_retention =
      random() % 2 == 0 ? absl::Seconds(7) : absl::Hours(24);
  options.max_credit = 6;
  options.chunk_bytes_max = 10;
  options.task_chunks_max = 2 + random() % 8;
  options.task_chunk_bytes_max = 10 + random() % 30;
  // Ids are remembered for longer.
  options.chunk_retention = absl::Seconds(1 + random() % 6);
  options.create_queues_on_use = random() % 4 == 0;
  options.batch_retention =
      random() % 2 == 0 ? absl::Seconds(20) : absl::Hours(24);
  options.batch_window = random() % 3;
  options.random_seed = seed;
  return options;
}

EngineHistory::EngineHistory(uint64_t seed, const HistoryOptions& options)
    : seed_(seed),
      options_(options),
      random_(seed),
      submit_percent_(15 + Below(30)),
      unique_percent_(Below(3) * 25),
      placement_percent_(Below(3) * 35),
      ordering_percent_(Below(3) * 30),
      routing_percent_(Below(3) * 30),
      driver_(RandomOptions(seed), absl::FromUnixSeconds(1'700'000'000)),
      model_(RandomOptions(seed)),
      calls_(std::make_shared<Calls>(this)) {
  for (int i = 0; i < kWorkers; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->name = absl::StrCat("w", i + 1);
  }
  driver_.set_turn_observer([this](const Effects& effects) {
    const std::string text = EffectsText(effects);
    AddToHash(text, &effects_hash_);
    AddToHash(std::string(effects.writes.records()), &effects_hash_);
    Log(text);
    ++counts_.turns;
    for (const AddressedPush& push : effects.pushes) {
      if (const auto* delivery = std::get_if<Delivery>(&push.push.body)) {
        ++counts_.deliveries;
        counts_.redelivered_after_crash += delivery->crashes > 0;
      }
      if (const auto* ack = std::get_if<OutcomeAcknowledged>(&push.push.body)) {
        counts_.lies += believed_epochs_.count(ack->epoch);
      } else if (const auto* refused =
                     std::get_if<ReportRefused>(&push.push.body)) {
        counts_.lies += believed_epochs_.count(refused->epoch);
      }
    }
    // A lie that did not get through in its turn never did.
    believed_epochs_.clear();
    for (const OutboxEntry& entry : effects.outbox) {
      counts_.outcomes += entry.outcomes.size();
      for (const auto& outcome : entry.outcomes) {
        ++counts_.failures[outcome->failure.type];
      }
    }
    counts_.outcomes += effects.unpublished.size();
    counts_.unpublished += effects.unpublished.size();
    model_.Turn(driver_.now(), model_commands_, effects, !driver_.wants_turn());
  });
}

EngineHistory::~EngineHistory() = default;

std::string EngineHistory::Run() {
  absl::Status recovered = driver_.Recover();
  if (!recovered.ok()) error_ = recovered.ToString();
  if (!failed()) Settle();
  if (!failed() && Chance(80)) {
    Add(UpdateQueueCommand{.reply = NewCall(),
                           .namespace_name = "default",
                           .queue = "default",
                           .dead_letter = true});
    Settle();
  }
  for (int step = 0; step < options_.steps && !failed(); ++step) Step();
  if (!failed()) Release();
  if (!failed()) Settle();
  if (!failed()) Audit();
  if (!failed()) RunToCompletion();
  if (!failed()) Audit();
  if (!failed()) CheckBatchesAreComplete();
  if (!failed()) CheckNothingIsLeftOnDisk();
  counts_.tasks = model_.TaskIds().size();
  counts_.callbacks = model_.submitted_callbacks();
  std::vector<std::string> problems = model_.violations();
  if (!error_.empty()) problems.push_back(error_);
  return absl::StrJoin(problems, "\n");
}

void EngineHistory::Log(const std::string& text) {
  if (options_.keep_log) log_ += text;
}

void EngineHistory::Step() {
  // Some histories have busy clients, others busy workers.
  const uint64_t kind = Below(100);
  if (kind < submit_percent_) {
    // Bursts, so that lanes grow beyond their windows.
    const uint64_t burst = Chance(15) ? 1 + Below(8) : 1;
    if (Chance(18)) {
      AddSubmitAll();
    } else {
      for (uint64_t i = 0; i < burst; ++i) AddSubmit();
    }
  } else if (kind < 69) {
    AddWorkerCommand();
  } else if (kind < 72) {
    AddRead();
  } else if (kind < 75) {
    if (routing_percent_ > 0 && Chance(65)) {
      AddRoutingCommand();
    } else {
      AddBatchCommand();
    }
  } else if (kind < 78) {
    AddControl();
  } else if (kind < 86) {
    AddDeadLetterCommand();
  } else if (kind < 88) {
    if (placement_percent_ > 0 && Chance(60)) {
      AddLimitCommand();
    } else {
      AddBreakerCommand();
    }
  } else if (kind < 91) {
    if (ordering_percent_ > 0 && Chance(40)) {
      AddRelease();
    } else {
      AddQueueCommand();
    }
  } else if (kind < 97) {
    PassTime();
  } else {
    Disturb();
  }
  // A few commands reach the engine together.
  if (!failed() && !engine_commands_.empty() && Chance(60)) {
    RunTurn();
    if (!failed() && Chance(80)) Settle();
  }
}

// --- Commands ---

void EngineHistory::Add(Command command) {
  Command copy = CopyForModel(command);
  Add(std::move(command), std::move(copy));
}

void EngineHistory::Add(Command for_engine, Command for_model) {
  engine_commands_.push_back(std::move(for_engine));
  model_commands_.push_back(std::move(for_model));
}

ReplyAddress EngineHistory::NewCall() {
  return {.sink = calls_, .tag = ++last_tag_};
}

std::shared_ptr<ReplySink> EngineHistory::NewSink() {
  return std::make_shared<Calls>(this);
}

std::string EngineHistory::RandomTaskId() {
  if (!minted_ids_.empty() && Chance(15)) {
    return minted_ids_[Below(minted_ids_.size())];
  }
  return absl::StrCat("t", Below(kTaskIds));
}

std::string EngineHistory::RandomQueue() {
  return Chance(80) ? "default" : "extra";
}

std::string EngineHistory::RandomType() { return Chance(50) ? "job" : "mail"; }

void EngineHistory::AddSubmit() {
  SubmitCommand submit = RandomSubmit();
  submit.reply = NewCall();
  submit.report_outcome = Chance(20);
  submit.request = RandomRequest(1, submit.content->fingerprint.low);
  AddUnique(&submit);
  AddOrdering(submit.content.get());
  AddRoute(&submit);
  Add(std::move(submit));
}

SubmitCommand EngineHistory::RandomSubmit() {
  auto content = std::make_shared<TaskContent>();
  content->namespace_name = "default";
  if (Chance(85)) content->task_id = absl::StrCat("t", Below(kTaskIds));
  content->type = RandomType();
  content->queue = RandomQueue();
  content->priority = kPriorities[Below(4)];
  if (Chance(35)) content->batch_id = RandomBatchId();
  // Repeated submits mostly say the same.
  content->fingerprint = {.high = 1, .low = Below(8) == 0 ? 1u : 0u};
  content->payload.data = absl::StrCat("payload ", Below(1000));
  if (Chance(30)) content->headers = {{"color", Chance(50) ? "red" : "blue"}};
  RetryPolicy& policy = content->retry_policy;
  policy.jitter = 0;
  policy.max_attempts = static_cast<uint32_t>(1 + Below(3));
  policy.max_crashes = static_cast<uint32_t>(1 + Below(4));
  policy.initial_delay = absl::Seconds(Below(3));
  policy.max_delay = absl::Seconds(3);
  policy.non_retryable_types = {"Final"};
  if (Chance(30)) policy.max_returns = static_cast<uint32_t>(1 + Below(6));
  if (Chance(15)) {
    policy.total_time_limit = absl::Microseconds(1 + Below(9'000'000));
    moments_.push_back(driver_.now() + policy.total_time_limit);
  }
  if (Chance(20)) {
    content->result_mode =
        Chance(50) ? ResultMode::kIgnore : ResultMode::kKeepFailures;
  }
  if (Chance(15)) content->delivery_mode = DeliveryMode::kAtMostOnce;
  AddPlacement(content.get());
  SubmitCommand submit;
  if (Chance(25)) {
    submit.delay = absl::Milliseconds(Below(8000));
  } else if (Chance(12)) {
    content->eta =
        driver_.now() + absl::Microseconds(Below(9'000'000)) - absl::Seconds(2);
  }
  if (Chance(20)) {
    submit.expire_after = absl::Microseconds(1 + Below(9'000'000));
  }
  if (submit.delay.has_value()) {
    moments_.push_back(driver_.now() + *submit.delay);
  }
  if (content->eta > driver_.now()) moments_.push_back(content->eta);
  if (submit.expire_after.has_value()) {
    moments_.push_back(driver_.now() + *submit.expire_after);
  }
  submit.content = std::move(content);
  return submit;
}

void EngineHistory::AddFollow() {
  waits_.push_back(std::make_shared<Calls>(this));
  Add(FollowTaskCommand{.reply = {.sink = waits_.back(), .tag = ++last_tag_},
                        .namespace_name = "default",
                        .task_id = RandomTaskId(),
                        .from = 1 + Below(4)});
}

void EngineHistory::AddRead() {
  if (Chance(20)) return AddFollow();
  const std::string id = RandomTaskId();
  switch (Below(7)) {
    case 0:
    case 1:
    case 2:
      Add(CancelTaskCommand{.reply = NewCall(),
                            .namespace_name = "default",
                            .task_id = id,
                            .reason = "enough"});
      return;
    case 3:
      waits_.push_back(std::make_shared<Calls>(this));
      Add(WaitTaskCommand{
          .reply = {.sink = waits_.back(), .tag = ++last_tag_},
          .namespace_name = "default",
          .task_id = id,
          .deadline = driver_.now() + absl::Milliseconds(Below(6000))});
      return;
    case 4:
      waits_.push_back(std::make_shared<Calls>(this));
      Add(WatchTaskCommand{.reply = {.sink = waits_.back(), .tag = ++last_tag_},
                           .namespace_name = "default",
                           .task_id = id});
      return;
    case 5:
      if (waits_.empty()) return;
      Add(ForgetSinkCommand{.sink = waits_[Below(waits_.size())]});
      return;
    default:
      Add(GetTaskCommand{
          .reply = NewCall(), .namespace_name = "default", .task_id = id});
  }
}

void EngineHistory::AddQueueCommand() {
  const std::string queue = RandomQueue();
  switch (Below(8)) {
    case 0:
      Add(PurgeQueueCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = queue});
      return;
    case 1:
      Add(CreateQueueCommand{
          .reply = NewCall(),
          .namespace_name = "default",
          .queue = "extra",
          .settings = {.dead_letter = Chance(70),
                       .max_length = Chance(30) ? 1 + Below(6) : 0}});
      return;
    case 2:
      Add(DeleteQueueCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = "extra"});
      return;
    case 3:
      Add(UpdateQueueCommand{.reply = NewCall(),
                             .namespace_name = "default",
                             .queue = queue,
                             .submit_paused = Chance(20),
                             .dead_letter = Chance(80),
                             .max_length = Chance(30) ? 1 + Below(12) : 0});
      return;
    case 4:
    case 5:
      Add(UpdateQueueCommand{.reply = NewCall(),
                             .namespace_name = "default",
                             .queue = queue,
                             .paused = Chance(40)});
      return;
    case 6: {
      // The result service confirms what it was given, maybe twice.
      const auto& released = driver_.released_outbox();
      if (released.empty()) return;
      Add(OutboxConfirmedCommand{
          .position = released[Below(released.size())].position});
      return;
    }
    default:
      Add(GetQueueCommand{
          .reply = NewCall(), .namespace_name = "default", .queue = queue});
  }
}

// --- Time and faults ---

void EngineHistory::PassTime() {
  if (!engine_commands_.empty()) RunTurn();
  if (failed()) return;
  const absl::Time next = driver_.next_turn_time();
  switch (Below(10)) {
    case 0:
    case 1:
      // Just before or after somebody's ETA or expiry.
      if (moments_.empty()) break;
      driver_.set_now(moments_[Below(moments_.size())] +
                      absl::Microseconds(Below(5)) - absl::Microseconds(2));
      break;
    case 2:
    case 5:
      if (next != absl::InfiniteFuture()) driver_.set_now(next);
      break;
    case 3:
      driver_.set_now(driver_.now() + absl::Microseconds(Below(3000)));
      break;
    case 4:
      driver_.set_now(driver_.now() + absl::Seconds(4 + Below(8)));
      break;
    default:
      driver_.set_now(driver_.now() + absl::Milliseconds(Below(3000)));
  }
  // Sometimes the next command comes before the engine has seen the time.
  if (Chance(70)) Settle();
}

void EngineHistory::Disturb() {
  if (!engine_commands_.empty()) RunTurn();
  if (failed()) return;
  switch (Below(6)) {
    case 0:
      Restart();
      break;
    case 1:
    case 2:
      Crash();
      break;
    default:
      if (holding_) {
        Release();
      } else {
        holding_ = true;
        snapshots_ = {model_};
      }
  }
  if (!failed() && Chance(30)) {
    Settle();
    if (!failed()) Audit();
  }
}

void EngineHistory::RunTurn() {
  Log(absl::StrCat("turn at ", absl::FormatTime(driver_.now()), "\n"));
  for (const Command& command : engine_commands_) {
    if (options_.keep_log)
      Log(absl::StrCat("  > ", CommandText(command), "\n"));
  }
  std::vector<Command> commands = std::exchange(engine_commands_, {});
  const absl::Status status = driver_.Turn(std::move(commands));
  model_commands_.clear();
  if (!status.ok()) {
    error_ = absl::StrCat("the engine failed: ", status.ToString());
    return;
  }
  if (holding_) {
    snapshots_.push_back(model_);
  } else {
    Release();
  }
}

void EngineHistory::Settle() {
  if (!engine_commands_.empty()) RunTurn();
  for (int turns = 0; !failed() && driver_.wants_turn(); ++turns) {
    if (turns == kSettleTurnsMax) {
      error_ = "the engine wants turns for ever";
      return;
    }
    RunTurn();
  }
}

void EngineHistory::Release() {
  holding_ = false;
  snapshots_.clear();
  if (options_.disk_lies) {
    driver_.ReleaseWithoutSync();
    return;
  }
  const absl::Status status = driver_.Release();
  if (!status.ok()) error_ = status.ToString();
}

void EngineHistory::Restart() {
  ++counts_.restarts;
  Log("restart\n");
  if (options_.disk_lies) return Crash();
  Release();
  const absl::Status status = driver_.Restart();
  if (!status.ok()) error_ = status.ToString();
  AfterRecovery();
}

void EngineHistory::Crash() {
  ++counts_.crashes;
  const size_t held = driver_.held_turns();
  const size_t survivors = options_.disk_lies ? 0 : Below(held + 1);
  counts_.lost_turns += held - survivors;
  if (holding_) model_ = snapshots_[survivors];
  if (options_.disk_lies && driver_.store().unsynced_writes() > held) {
    counts_.lies += !model_.TaskIds().empty();
  }
  Log(absl::StrCat("crash: ", survivors, " of ", held, " turns survive\n"));
  holding_ = false;
  snapshots_.clear();
  const absl::Status status = driver_.Crash(survivors);
  if (!status.ok()) error_ = absl::StrCat("no recovery: ", status.ToString());
  AfterRecovery();
}

void EngineHistory::AfterRecovery() {
  if (failed()) return;
  for (auto& worker : workers_) worker->stream = nullptr;
  waits_.clear();
  model_.Recover(driver_.now(), driver_.engine());
}

}  // namespace apium::broker
