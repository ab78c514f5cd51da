#include "results/result_core.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "common/check.h"
#include "common/error_reason.h"
#include "common/fingerprint.h"
#include "common/names.h"
#include "common/status_macros.h"
#include "results/cursor.h"
#include "results/outcome_check.h"
#include "results/result_reasons.h"

namespace apium::results {
namespace {

// first_use_ of a command without keys.
constexpr uint32_t kNoUse = std::numeric_limits<uint32_t>::max();

// A page is at most this large, so that it passes gRPC's default limit of 4 MiB
// at the client; a single outcome may be larger.
constexpr size_t kPageBytesMax = 3 * 1024 * 1024;
// Log entries looked at for one page: some milliseconds.
constexpr size_t kPageEntriesMax = 20'000;

absl::Status ResultNotFound(const std::string& name_space,
                            const std::string& task_id) {
  return WithReason(absl::NotFoundError(absl::StrCat(
                        "there is no result of task ", QuoteForMessage(task_id),
                        " in namespace ", QuoteForMessage(name_space),
                        ": not finished, unknown, forgotten, or expired")),
                    reason::kResultNotFound);
}

absl::Status WaitTimedOut() {
  return WithReason(
      absl::DeadlineExceededError("no result came before the wait's timeout"),
      reason::kWaitTimeout);
}

int64_t FinishNanos(const v1::TaskOutcome& outcome, int64_t recorded_ms) {
  if (!outcome.has_finish_time()) {
    return recorded_ms * 1'000'000;
  }
  return absl::ToUnixNanos(
      absl::FromUnixSeconds(outcome.finish_time().seconds()) +
      absl::Nanoseconds(outcome.finish_time().nanos()));
}

}  // namespace

ResultCore::ResultCore(ResultCoreOptions options, const StoreReader* store)
    : options_(options),
      default_ttl_ms_(absl::ToInt64Milliseconds(options.result_ttl)),
      store_(store),
      reader_(store),
      watches_(options.watches, &reader_, default_ttl_ms_) {}

absl::Status ResultCore::Recover(std::string_view new_store_id,
                                 StoreBatch* writes) {
  const absl::Status id = store_->Get(StoreKey(), &store_id_);
  if (absl::IsNotFound(id)) {
    store_id_ = std::string(new_store_id);
    writes->Put(StoreKey(), store_id_);
    recent_ids_.emplace(0);
  } else {
    APIUM_RETURN_IF_ERROR(id);
    APIUM_RETURN_IF_ERROR(RecoverIds());
  }
  store_tag_ = StableHash64(store_id_);
  watches_.SetStore(store_tag_);

  absl::Status status;
  const KeyRange heads = AllHeads();
  APIUM_RETURN_IF_ERROR(
      store_->Scan(heads.first, heads.last,
                   [&](std::string_view key, std::string_view value) {
                     const auto name = NamespaceOfHeadKey(key);
                     const auto position = ParsePositionValue(key, value);
                     if (!name.ok() || !position.ok()) {
                       status = name.ok() ? position.status() : name.status();
                       return false;
                     }
                     FindOrAddNamespace(std::string(*name))->head = *position;
                     return true;
                   }));
  APIUM_RETURN_IF_ERROR(status);
  const KeyRange shards = AllShards();
  APIUM_RETURN_IF_ERROR(
      store_->Scan(shards.first, shards.last,
                   [&](std::string_view key, std::string_view value) {
                     const auto shard = ShardOfShardKey(key);
                     const auto position = ParsePositionValue(key, value);
                     if (!shard.ok() || !position.ok()) {
                       status = shard.ok() ? position.status() : shard.status();
                       return false;
                     }
                     publishers_.Restore(std::string(*shard), *position);
                     return true;
                   }));
  return status;
}

absl::Status ResultCore::RecoverIds() {
  std::string value;
  const absl::Status read = store_->Get(IdsUntilKey(), &value);
  if (absl::IsNotFound(read)) {
    // A store that has no bound yet may have any id.
    recent_ids_.emplace(std::numeric_limits<int64_t>::max());
    return absl::OkStatus();
  }
  APIUM_RETURN_IF_ERROR(read);
  APIUM_ASSIGN_OR_RETURN(const uint64_t until,
                         ParsePositionValue(IdsUntilKey(), value));
  recent_ids_.emplace(static_cast<int64_t>(until));
  return absl::OkStatus();
}

absl::Status ResultCore::Apply(std::vector<ResultCommand>* commands,
                               ResultNow now, ResultEffects* effects) {
  now_ = now;
  now_ms_ = std::max(now_ms_, absl::ToUnixMillis(now.wall));
  CollectUses(commands, effects);
  APIUM_RETURN_IF_ERROR(LoadSlots());
  // Before the commands, while the store and the heads agree.
  watches_.CatchUp([this](const std::string& name) { return HeadOf(name); },
                   now_ms_, effects);
  for (size_t i = 0; i < commands->size(); ++i) {
    APIUM_RETURN_IF_ERROR(CarryOut((*commands)[i], first_use_[i], effects));
  }
  WriteOutcomes(effects);
  WriteLogs(effects);
  publishers_.FinishGroup(effects);
  TimeOutWaiters(effects);
  for (ResultCommand& command : *commands) {
    if (auto* batch = std::get_if<PublishBatch>(&command)) {
      effects->spent.push_back(std::move(batch->message));
    }
  }
  commands->clear();
  return absl::OkStatus();
}

absl::Duration ResultCore::NextWake() const {
  if (watches_.CanCatchUp()) {
    return absl::ZeroDuration();
  }
  return waiters_.NextDeadline().value_or(absl::InfiniteDuration());
}

void ResultCore::Stop(const absl::Status& status, ResultEffects* effects) {
  for (const CallId call : waiters_.TakeAll()) {
    effects->replies.push_back({.call = call, .status = status});
  }
  publishers_.EndAll(status, effects);
  watches_.EndAll(status, effects);
}

ResultCore::Namespace* ResultCore::FindOrAddNamespace(const std::string& name) {
  std::unique_ptr<Namespace>& found = namespaces_[name];
  if (found == nullptr) {
    found = std::make_unique<Namespace>();
    found->name = name;
  }
  return found.get();
}

uint64_t ResultCore::HeadOf(const std::string& name_space) const {
  auto found = namespaces_.find(name_space);
  return found == namespaces_.end() ? 0 : found->second->head;
}

void ResultCore::CollectUses(std::vector<ResultCommand>* commands,
                             ResultEffects* effects) {
  use_count_ = 0;
  first_use_.assign(commands->size(), kNoUse);
  for (size_t i = 0; i < commands->size(); ++i) {
    ResultCommand& command = (*commands)[i];
    if (auto* begin = std::get_if<PublishBegin>(&command)) {
      publishers_.Begin(begin->stream, begin->shard_id, effects);
    } else if (auto* batch = std::get_if<PublishBatch>(&command)) {
      if (AdmitBatch(batch, effects)) {
        first_use_[i] = static_cast<uint32_t>(use_count_);
        for (const v1::TaskOutcome& outcome :
             batch->message->batch().outcomes()) {
          AddUse(outcome.namespace_(), outcome.task_id());
        }
      }
    } else if (auto* end = std::get_if<PublishEnd>(&command)) {
      publishers_.End(end->stream);
    } else if (auto* get = std::get_if<GetResult>(&command)) {
      first_use_[i] = AddUse(get->name_space, get->task_id);
    } else if (auto* wait = std::get_if<WaitResult>(&command)) {
      first_use_[i] = AddUse(wait->name_space, wait->task_id);
    } else if (auto* forget = std::get_if<ForgetResult>(&command)) {
      first_use_[i] = AddUse(forget->name_space, forget->task_id);
    }
  }
}

bool ResultCore::AdmitBatch(PublishBatch* batch, ResultEffects* effects) {
  v1::OutcomeBatch* content = batch->message->mutable_batch();
  absl::Status status = CheckAndCompleteOutcomes(content);
  std::optional<absl::StatusOr<bool>> admitted;
  if (status.ok()) {
    admitted = publishers_.Admit(batch->stream, content->position());
    if (!admitted.has_value()) {
      return false;
    }
    status = admitted->status();
  }
  if (!status.ok()) {
    publishers_.Refuse(batch->stream, std::move(status), effects);
    return false;
  }
  return **admitted;
}

uint32_t ResultCore::AddUse(std::string_view name_space,
                            std::string_view task_id) {
  if (use_count_ == use_keys_.size()) {
    use_keys_.emplace_back();
  }
  SetOutcomeKey(name_space, task_id, &use_keys_[use_count_]);
  return static_cast<uint32_t>(use_count_++);
}

absl::Status ResultCore::LoadSlots() {
  slots_.clear();
  if (use_count_ == 0) {
    return absl::OkStatus();
  }
  order_.resize(use_count_);
  std::iota(order_.begin(), order_.end(), 0u);
  const auto by_key = [this](uint32_t a, uint32_t b) {
    return use_keys_[a] < use_keys_[b];
  };
  // Ids that brokers mint grow, so that they often come in order.
  if (!std::is_sorted(order_.begin(), order_.end(), by_key)) {
    std::sort(order_.begin(), order_.end(), by_key);
  }
  slot_of_use_.resize(use_count_);
  for (const uint32_t use : order_) {
    if (slots_.empty() || slot_keys_[slots_.size() - 1] != use_keys_[use]) {
      if (slots_.size() == slot_keys_.size()) {
        slot_keys_.emplace_back();
      }
      slot_keys_[slots_.size()].swap(use_keys_[use]);
      slots_.emplace_back();
    }
    slot_of_use_[use] = static_cast<uint32_t>(slots_.size() - 1);
  }
  // Most outcomes are of new ids, which need no look.
  lookups_.clear();
  lookup_keys_.clear();
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::string& key = slot_keys_[i];
    if (!recent_ids_->MayContain(key, TaskIdOfOutcomeKey(key))) continue;
    lookups_.push_back(i);
    lookup_keys_.push_back(key);
  }
  if (lookups_.empty()) return absl::OkStatus();
  APIUM_RETURN_IF_ERROR(store_->MultiGet(lookup_keys_, &stored_));
  for (size_t i = 0; i < lookups_.size(); ++i) {
    if (!stored_[i].has_value()) continue;
    Slot& slot = slots_[lookups_[i]];
    APIUM_ASSIGN_OR_RETURN(const OutcomeRow row,
                           ParseOutcomeValue(lookup_keys_[i], *stored_[i]));
    slot.stored = &*stored_[i];
    slot.live = row.expire_ms > now_ms_;
  }
  return absl::OkStatus();
}

absl::Status ResultCore::CarryOut(ResultCommand& command, uint32_t use,
                                  ResultEffects* effects) {
  if (auto* batch = std::get_if<PublishBatch>(&command)) {
    if (use != kNoUse) {
      for (v1::TaskOutcome& outcome :
           *batch->message->mutable_batch()->mutable_outcomes()) {
        Record(&outcome, use++, effects);
      }
    }
  } else if (auto* get = std::get_if<GetResult>(&command)) {
    Reply& reply = effects->replies.emplace_back();
    reply.call = get->call;
    APIUM_ASSIGN_OR_RETURN(const bool found, AnswerFrom(use, get->name_space,
                                                        get->task_id, &reply));
    if (!found) {
      reply.status = ResultNotFound(get->name_space, get->task_id);
    }
  } else if (auto* wait = std::get_if<WaitResult>(&command)) {
    return Wait(*wait, use, effects);
  } else if (auto* cancel = std::get_if<CancelWait>(&command)) {
    if (waiters_.Remove(cancel->call)) {
      effects->replies.push_back(
          {.call = cancel->call,
           .status = absl::CancelledError("the caller cancelled the wait")});
    }
  } else if (auto* list = std::get_if<ListResults>(&command)) {
    effects->replies.push_back(List(*list));
  } else if (auto* forget = std::get_if<ForgetResult>(&command)) {
    effects->replies.push_back(Forget(*forget, use));
  } else if (auto* begin = std::get_if<WatchBegin>(&command)) {
    watches_.Begin(*begin, HeadOf(begin->name_space), now_ms_, effects);
  } else if (auto* taken = std::get_if<WatchTaken>(&command)) {
    watches_.Taken(taken->stream, taken->bytes);
  } else if (auto* end = std::get_if<WatchEnd>(&command)) {
    watches_.End(end->stream);
  }
  return absl::OkStatus();
}

void ResultCore::Record(v1::TaskOutcome* outcome, uint32_t use,
                        ResultEffects* effects) {
  const uint32_t index = slot_of_use_[use];
  Slot& slot = slots_[index];
  if (slot.live || slot.pending != nullptr) {
    return;  // the first outcome is final
  }
  slot.pending = outcome;
  slot.ttl_ms = ResultTtlMs(*outcome, default_ttl_ms_);
  Namespace* name_space = touched_.empty() ? nullptr : touched_.back();
  if (name_space == nullptr || name_space->name != outcome->namespace_()) {
    name_space = FindOrAddNamespace(outcome->namespace_());
  }
  if (name_space->recorded.empty()) {
    touched_.push_back(name_space);
  }
  name_space->recorded.push_back({.slot = index, .outcome = outcome});
  if (!waiters_.empty()) {
    for (const CallId call : waiters_.TakeFor(slot_keys_[index])) {
      effects->replies.push_back(
          {.call = call, .status = absl::OkStatus(), .value = *outcome});
    }
  }
}

absl::StatusOr<bool> ResultCore::AnswerFrom(uint32_t use,
                                            const std::string& name_space,
                                            const std::string& task_id,
                                            Reply* reply) const {
  const uint32_t index = slot_of_use_[use];
  const Slot& slot = slots_[index];
  if (slot.pending != nullptr) {
    reply->value = *slot.pending;
    return true;
  }
  if (!slot.live) {
    return false;
  }
  APIUM_ASSIGN_OR_RETURN(const OutcomeRow row,
                         ParseOutcomeValue(slot_keys_[index], *slot.stored));
  APIUM_RETURN_IF_ERROR(LogReader::ParseOutcome(
      name_space, task_id, slot_keys_[index], row.outcome,
      &reply->value.emplace<v1::TaskOutcome>()));
  return true;
}

absl::Status ResultCore::Wait(const WaitResult& wait, uint32_t use,
                              ResultEffects* effects) {
  Reply reply = {.call = wait.call};
  APIUM_ASSIGN_OR_RETURN(
      const bool found, AnswerFrom(use, wait.name_space, wait.task_id, &reply));
  if (!found) {
    if (wait.timeout <= absl::ZeroDuration()) {
      reply.status = WaitTimedOut();
    } else if (waiters_.size() >= options_.waiters_max) {
      reply.status = WithRetryDelay(
          WithReason(absl::ResourceExhaustedError(absl::StrCat(
                         waiters_.size(),
                         " calls wait for results; that is the limit")),
                     reason::kTooManyWaiters),
          absl::Seconds(1));
    } else {
      waiters_.Add(wait.call, slot_keys_[slot_of_use_[use]],
                   now_.monotonic + wait.timeout);
      return absl::OkStatus();
    }
  }
  effects->replies.push_back(std::move(reply));
  return absl::OkStatus();
}

Reply ResultCore::Forget(const ForgetResult& forget, uint32_t use) {
  Slot& slot = slots_[slot_of_use_[use]];
  if (slot.pending == nullptr && !slot.live) {
    return {.call = forget.call,
            .status = ResultNotFound(forget.name_space, forget.task_id)};
  }
  slot.pending = nullptr;
  slot.live = false;
  slot.forgotten = true;
  return {.call = forget.call};
}

Reply ResultCore::List(const ListResults& list) const {
  const auto answer = [&](absl::Status status) {
    return Reply{.call = list.call, .status = std::move(status)};
  };
  Cursor at = {.kind = CursorKind::kPage,
               .store = store_tag_,
               .scope = PageScope(list.name_space, list.filter.StableHash())};
  if (list.page_token.empty()) {
    at.place.position = HeadOf(list.name_space) + 1;
  } else {
    const std::optional<Cursor> token =
        DecodeCursor(CursorKind::kPage, list.page_token);
    if (!token.has_value() || token->store != at.store) {
      return answer(InvalidField(
          "page_token",
          absl::StrCat(QuoteForMessage(list.page_token),
                       " is not a next_page_token of this service")));
    }
    if (token->scope != at.scope) {
      return answer(InvalidField(
          "page_token",
          "it belongs to a list with another namespace or filter"));
    }
    at.place = token->place;
  }
  const LogQuery query = {.name_space = list.name_space,
                          .filter = list.filter,
                          .with_data = list.with_data,
                          .now_ms = now_ms_};
  const LogReadLimits limits = {.outcomes = list.page_size,
                                .bytes = kPageBytesMax,
                                .entries = kPageEntriesMax};
  std::vector<v1::TaskOutcome> outcomes;
  const absl::StatusOr<bool> more =
      reader_.ReadBack(query, limits, &at.place, &outcomes);
  if (!more.ok()) {
    return answer(more.status());
  }
  Reply reply = answer(absl::OkStatus());
  v1::ListResultsResponse& page =
      reply.value.emplace<v1::ListResultsResponse>();
  page.mutable_outcomes()->Reserve(static_cast<int>(outcomes.size()));
  for (v1::TaskOutcome& outcome : outcomes) {
    page.mutable_outcomes()->Add(std::move(outcome));
  }
  if (*more) {
    page.set_next_page_token(EncodeCursor(at));
  }
  return reply;
}

void ResultCore::TimeOutWaiters(ResultEffects* effects) {
  for (const CallId call : waiters_.TakeExpired(now_.monotonic)) {
    effects->replies.push_back({.call = call, .status = WaitTimedOut()});
  }
}

void ResultCore::WriteOutcomes(ResultEffects* effects) {
  for (const Namespace* name_space : touched_) {
    for (const Recorded& recorded : name_space->recorded) {
      slots_[recorded.slot].position = name_space->head + 1;
    }
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.pending == nullptr) {
      continue;
    }
    StartOutcomeValue(now_ms_ + slot.ttl_ms, slot.position, &value_);
    AppendOutcome(slot.pending, &value_);
    slot.size = static_cast<uint32_t>(value_.size());
    effects->writes.Put(slot_keys_[i], value_);
    recent_ids_->Add(slot_keys_[i], TaskIdOfOutcomeKey(slot_keys_[i]));
  }
  if (const auto bound = recent_ids_->TakeBound()) {
    effects->writes.Put(IdsUntilKey(),
                        PositionValue(static_cast<uint64_t>(*bound)));
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.forgotten && slot.pending == nullptr && slot.stored != nullptr) {
      effects->writes.Delete(slot_keys_[i]);
    }
  }
}

void ResultCore::WriteLogs(ResultEffects* effects) {
  std::sort(
      touched_.begin(), touched_.end(),
      [](const Namespace* a, const Namespace* b) { return a->name < b->name; });
  for (Namespace*& name_space : touched_) {
    const bool appended = AppendLogRow(name_space, effects);
    name_space->recorded.clear();
    if (!appended) {
      name_space = nullptr;
    }
  }
  for (const Namespace* name_space : touched_) {
    if (name_space != nullptr) {
      effects->writes.Put(HeadKey(name_space->name),
                          PositionValue(name_space->head));
    }
  }
  touched_.clear();
}

bool ResultCore::AppendLogRow(Namespace* name_space, ResultEffects* effects) {
  log_row_.Start(now_ms_);
  appended_.clear();
  const bool watched = watches_.AnyIn(name_space->name);
  for (const Recorded& recorded : name_space->recorded) {
    const Slot& slot = slots_[recorded.slot];
    if (slot.pending != recorded.outcome) {
      continue;  // forgotten in this very group
    }
    const LogEntry entry = {
        .state = recorded.outcome->state(),
        .task_id = recorded.outcome->task_id(),
        .queue = recorded.outcome->queue(),
        .type = recorded.outcome->type(),
        .ttl_ms = slot.ttl_ms,
        .finish_ns = FinishNanos(*recorded.outcome, now_ms_),
        .size = slot.size};
    log_row_.Add(entry);
    if (watched) {
      appended_.push_back({.entry = entry, .outcome = recorded.outcome});
    }
  }
  if (log_row_.entry_count() == 0) {
    return false;
  }
  ++name_space->head;
  effects->outcomes_recorded += log_row_.entry_count();
  effects->writes.Put(LogKey(name_space->name, name_space->head),
                      log_row_.Finish());
  watches_.Append(name_space->name, name_space->head, now_ms_, appended_,
                  effects);
  return true;
}

}  // namespace apium::results
