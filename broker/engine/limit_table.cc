#include "broker/engine/limit_table.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "broker/storage/key_format.h"
#include "common/check.h"
#include "common/glob.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// A key that is charged without end is in debt no longer than this. Stored
// times end in 2262.
constexpr absl::Duration kDebtMax = absl::Hours(24 * 36525);

// What one turn forgets: more waits for the next.
constexpr size_t kForgottenPerTurn = 10000;

// Pairs of queue and type whose limits are remembered.
constexpr size_t kMatchingMax = 10000;

bool Counts(const LiveLimit& limit, const LimitSubject& subject) {
  const LimitSettings& settings = limit.settings();
  return (settings.type_pattern.empty() ||
          GlobMatch(settings.type_pattern, subject.type)) &&
         (settings.queue_pattern.empty() ||
          GlobMatch(settings.queue_pattern, subject.queue));
}

// What the limit counts the task under; none: not at all.
std::optional<std::string_view> KeyOf(const Limit& limit,
                                      const LimitSubject& subject) {
  switch (limit.partition) {
    case LimitPartition::kNone:
      return "";
    case LimitPartition::kType:
      return subject.type;
    case LimitPartition::kQueue:
      return subject.queue;
    case LimitPartition::kFairnessKey:
      return subject.fairness_key;
    case LimitPartition::kKey:
      break;
  }
  if (subject.limit_keys == nullptr) return std::nullopt;
  for (const auto& [name, value] : *subject.limit_keys) {
    if (name == limit.key) return value;
  }
  return std::nullopt;
}

absl::Duration WholeNanoseconds(double nanoseconds) {
  return std::min(absl::Nanoseconds(nanoseconds), kDebtMax);
}

std::string RowKey(const LimitInstance& instance) {
  const LiveLimit& limit = *instance.limit;
  return LimitStateRowKey(limit.namespace_name, limit.limit().name,
                          instance.key);
}

bool IsConcurrencyFull(const LimitInstance& instance) {
  const uint32_t max = instance.limit->settings().max_concurrency;
  return max > 0 && instance.running >= max;
}

bool Admits(const LimitInstance& instance, absl::Time now) {
  return !instance.limit->limits() || (!IsConcurrencyFull(instance) &&
                                       LimitTable::AdmitTime(instance) <= now);
}

}  // namespace

absl::Status LimitTable::Recover(absl::Time now) {
  now_ = now;
  absl::Status visited = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      std::string(1, kLimitRow), RowsEnd(kLimitRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<LimitRowName> name = LimitOfRow(key);
        if (!name.has_value()) {
          visited = absl::DataLossError("the store holds a damaged limit row");
          return false;
        }
        auto stored = DecodeLimit(name->limit, value);
        visited = stored.status();
        if (visited.ok()) Add(name->namespace_name, *std::move(stored));
        return visited.ok();
      }));
  APIUM_RETURN_IF_ERROR(visited);
  return empty() ? absl::OkStatus() : RecoverStates(now);
}

absl::Status LimitTable::RecoverStates(absl::Time now) {
  absl::Status visited = absl::OkStatus();
  APIUM_RETURN_IF_ERROR(reader_->Scan(
      std::string(1, kLimitStateRow), RowsEnd(kLimitStateRow),
      [&](std::string_view key, std::string_view value) {
        const std::optional<LimitRowName> name = LimitOfRow(key);
        const auto state = DecodeLimitState(value);
        visited = state.status();
        if (!name.has_value())
          visited =
              absl::DataLossError("the store holds a damaged limit state row");
        if (!visited.ok()) return false;
        LiveLimit* limit = Find(name->namespace_name, name->limit);
        const bool valid = limit != nullptr &&
                           limit->stored.generation == state->generation &&
                           state->over() > now;
        if (!valid) return true;  // compaction drops it
        if (idle_count_ < idle_max_) {
          TakeState(*state, InstanceOf(limit, name->key));
        } else {
          limit->stored_states_until =
              std::max(limit->stored_states_until, state->over());
        }
        return true;
      }));
  return visited;
}

void LimitTable::BeginTurn(absl::Time now) {
  now_ = std::max(now_, now);
  size_t budget = kForgottenPerTurn;
  while (!idle_.empty() && idle_.begin()->first <= now_ && budget > 0) {
    --budget;
    Forget(idle_.begin()->second.begin()->second);
  }
}

LiveLimit* LimitTable::Find(const std::string& namespace_name,
                            const std::string& name) {
  const ByName& limits = LimitsOf(namespace_name);
  const auto it = limits.find(name);
  return it == limits.end() ? nullptr : it->second.get();
}

const LimitTable::ByName& LimitTable::LimitsOf(
    const std::string& namespace_name) const {
  static const ByName* const kNone = new ByName();
  const auto it = namespaces_.find(namespace_name);
  return it == namespaces_.end() ? *kNone : it->second.by_name;
}

void LimitTable::SetRate(LiveLimit* limit) {
  const std::optional<Rate>& rate = limit->settings().rate;
  if (!rate.has_value()) return;
  const double period = absl::ToDoubleNanoseconds(rate->period);
  limit->point_nanos = period / rate->points;
  // Rounded so that never more start than the rate allows.
  limit->cost = WholeNanoseconds(std::ceil(rate->cost * period / rate->points));
  limit->slack = std::max(
      absl::ZeroDuration(),
      WholeNanoseconds(std::floor(rate->burst * period / rate->points)) -
          limit->cost);
}

LiveLimit* LimitTable::Add(const std::string& namespace_name,
                           StoredLimit stored) {
  auto owned = std::make_unique<LiveLimit>();
  LiveLimit* limit = owned.get();
  limit->namespace_name = namespace_name;
  limit->stored = std::move(stored);
  SetRate(limit);
  namespaces_[namespace_name].by_name[limit->limit().name] = std::move(owned);
  return limit;
}

LiveLimit* LimitTable::Create(const std::string& namespace_name,
                              StoredLimit stored) {
  LiveLimit* limit = Add(namespace_name, std::move(stored));
  RulesChanged(limit);
  return limit;
}

void LimitTable::Update(LiveLimit* limit, LimitSettings settings) {
  limit->stored.limit.settings = std::move(settings);
  ++limit->stored.limit.revision;
  SetRate(limit);
  for (const auto& [key, instance] : limit->instances) {
    Rescale(instance.get(), now_);
    if (instance->over() > now_) MarkDirty(instance.get());
    UpdateIdle(instance.get());
  }
  RulesChanged(limit);
}

void LimitTable::Delete(LiveLimit* limit) {
  RulesChanged(limit);
  limit->deleted = true;
  auto in = namespaces_.find(limit->namespace_name);
  auto it = in->second.by_name.find(limit->limit().name);
  std::unique_ptr<LiveLimit> owned = std::move(it->second);
  in->second.by_name.erase(it);
  if (in->second.by_name.empty()) namespaces_.erase(in);
  if (limit->instances.empty()) return;
  deleted_[limit] = std::move(owned);
  for (const auto& [key, instance] : limit->instances) {
    // A limit of the same name may have rows of the same keys.
    if (instance->stored_until > now_) deletes_.Delete(RowKey(*instance));
    instance->stored_until = absl::InfinitePast();
    instance->full_time = absl::InfinitePast();
    instance->pause_until = absl::InfinitePast();
    UpdateIdle(instance.get());
  }
}

void LimitTable::RulesChanged(LiveLimit* limit) {
  ++revision_;
  namespaces_[limit->namespace_name].matching.clear();
  dirty_limits_.emplace(limit->namespace_name, limit->limit().name);
  for (const auto& [key, instance] : limit->instances) {
    instance->changed = true;
    MarkFreed(instance.get());
  }
}

const std::vector<LiveLimit*>& LimitTable::Matching(
    Namespace* in, const LimitSubject& subject) {
  std::string both(subject.queue);
  both.push_back('\0');
  both.append(subject.type);
  if (in->matching.size() >= kMatchingMax) in->matching.clear();
  const auto [it, is_new] = in->matching.try_emplace(both);
  if (is_new) {
    for (const auto& [name, limit] : in->by_name) {
      if (Counts(*limit, subject)) it->second.push_back(limit.get());
    }
  }
  return it->second;
}

LimitShare LimitTable::ShareOf(const LimitSubject& subject) {
  LimitShare share;
  if (namespaces_.empty()) return share;
  const auto in = namespaces_.find(std::string(subject.namespace_name));
  if (in == namespaces_.end()) return share;
  for (LiveLimit* limit : Matching(&in->second, subject)) {
    const std::optional<std::string_view> key = KeyOf(limit->limit(), subject);
    if (!key.has_value()) continue;
    LimitInstance* instance = InstanceOf(limit, std::string(*key));
    ++instance->users;
    UpdateIdle(instance);
    share.push_back(instance);
  }
  return share;
}

LimitShare LimitTable::Copy(const LimitShare& share) {
  for (LimitInstance* instance : share) ++instance->users;
  return share;
}

void LimitTable::Drop(LimitShare* share) {
  for (LimitInstance* instance : *share) {
    APIUM_CHECK(instance->users > 0);
    --instance->users;
    UpdateIdle(instance);
  }
  share->clear();
}

LimitInstance* LimitTable::Blocking(const LimitShare& share,
                                    absl::Time now) const {
  for (LimitInstance* instance : share) {
    if (!Admits(*instance, now)) return instance;
  }
  return nullptr;
}

void LimitTable::Admit(const LimitShare& share, absl::Time now) {
  for (LimitInstance* instance : share) {
    ++instance->running;
    const LiveLimit& limit = *instance->limit;
    // One that limits nothing takes nothing: else it would hold everything up
    // when it is enabled.
    if (!limit.limits() || !limit.has_rate()) continue;
    instance->full_time = std::max(instance->full_time, now) + limit.cost;
    instance->point_nanos = limit.point_nanos;
    MarkDirty(instance);
    // Whoever starts here may have been the only one who was told.
    const bool held_up = instance->parked_lanes > 0 && !Admits(*instance, now);
    if (held_up && IsFreed(instance, now)) MarkFreed(instance);
  }
}

void LimitTable::Restore(const LimitShare& share) {
  for (LimitInstance* instance : share) ++instance->running;
}

void LimitTable::Release(const LimitShare& share) {
  for (LimitInstance* instance : share) {
    APIUM_CHECK(instance->running > 0);
    --instance->running;
    MarkFreed(instance);
  }
}

void LimitTable::MarkFreed(LimitInstance* instance) {
  if (instance->parked_lanes > 0) freed_.emplace(instance->number, instance);
}

bool LimitTable::IsFreed(LimitInstance* instance, absl::Time now) {
  Remove(&clock_, &instance->clock_time, *instance);
  const bool changed = std::exchange(instance->changed, false);
  if (instance->parked_lanes == 0) return false;
  if (changed || Admits(*instance, now)) return true;
  // Where the last of them runs, it is looked at when one has ended.
  if (!IsConcurrencyFull(*instance))
    Put(&clock_, &instance->clock_time, AdmitTime(*instance), instance);
  return false;
}

void LimitTable::NoteParked(LimitInstance* instance, absl::Time now) {
  if (IsFreed(instance, now)) MarkFreed(instance);
}

void LimitTable::LookAgain(const LimitShare& share) {
  for (LimitInstance* instance : share) {
    if (instance->parked_lanes > 0 && Admits(*instance, now_))
      MarkFreed(instance);
  }
}

std::vector<LimitInstance*> LimitTable::TakeFreed(absl::Time now) {
  while (!clock_.empty() && clock_.begin()->first <= now) {
    for (const auto& [number, instance] : clock_.begin()->second) {
      instance->clock_time = absl::InfiniteFuture();
      MarkFreed(instance);
    }
    clock_.erase(clock_.begin());
  }
  std::vector<LimitInstance*> freed;
  for (const auto& [number, instance] : std::exchange(freed_, {})) {
    if (IsFreed(instance, now)) freed.push_back(instance);
  }
  return freed;
}

LimitInstance* LimitTable::InstanceOf(LiveLimit* limit,
                                      const std::string& key) {
  std::unique_ptr<LimitInstance>& owned = limit->instances[key];
  if (owned != nullptr) return owned.get();
  owned = std::make_unique<LimitInstance>();
  owned->limit = limit;
  owned->key = key;
  owned->number = ++last_number_;
  UpdateIdle(owned.get());
  if (limit->stored_states_until > now_) LoadState(owned.get());
  return owned.get();
}

void LimitTable::LoadState(LimitInstance* instance) {
  std::string value;
  const absl::Status read = reader_->Get(RowKey(*instance), &value);
  if (absl::IsNotFound(read)) return;
  if (!read.ok()) {
    failed_read_ = read;
    return;
  }
  const auto state = DecodeLimitState(value);
  if (!state.ok()) {
    failed_read_ = state.status();
    return;
  }
  const bool valid = instance->limit->stored.generation == state->generation &&
                     state->over() > now_;
  if (valid) TakeState(*state, instance);
}

void LimitTable::TakeState(const StoredLimitState& state,
                           LimitInstance* instance) {
  instance->full_time = state.full_time;
  instance->point_nanos = state.point_nanos;
  instance->pause_until = state.pause_until;
  instance->stored_until = state.over();
  Rescale(instance, now_);
  UpdateIdle(instance);
}

void LimitTable::Rescale(LimitInstance* instance, absl::Time now) {
  const LiveLimit& limit = *instance->limit;
  if (!limit.has_rate()) return;
  const double before = std::exchange(instance->point_nanos, limit.point_nanos);
  if (before == limit.point_nanos || instance->full_time <= now) return;
  const absl::Duration missing =
      (instance->full_time - now) * (limit.point_nanos / before);
  instance->full_time = now + std::min(missing, kDebtMax);
}

void LimitTable::Charge(LimitInstance* instance, double points,
                        absl::Time now) {
  const LiveLimit& limit = *instance->limit;
  if (!limit.limits() || !limit.has_rate()) return;
  const absl::Time full =
      std::max(instance->full_time, now) +
      absl::Nanoseconds(std::ceil(points * limit.point_nanos));
  instance->full_time = std::clamp(full, now, now + kDebtMax);
  instance->point_nanos = limit.point_nanos;
  MarkDirty(instance);
  MarkFreed(instance);
  UpdateIdle(instance);
}

void LimitTable::Pause(LimitInstance* instance, absl::Time until) {
  if (instance->limit->deleted) return;
  instance->pause_until = until;
  MarkDirty(instance);
  MarkFreed(instance);
  UpdateIdle(instance);
}

LimitTable::Hold LimitTable::HoldOf(const LimitInstance& instance,
                                    absl::Time now) {
  if (Admits(instance, now)) return Hold::kNone;
  if (instance.pause_until > now) return Hold::kPause;
  return IsConcurrencyFull(instance) ? Hold::kConcurrency : Hold::kRate;
}

absl::Time LimitTable::AdmitTime(const LimitInstance& instance) {
  const LiveLimit& limit = *instance.limit;
  if (!limit.limits()) return absl::InfinitePast();
  if (!limit.has_rate()) return instance.pause_until;
  return std::max(instance.pause_until, instance.full_time - limit.slack);
}

double LimitTable::PointsOf(const LimitInstance& instance, absl::Time now) {
  const LiveLimit& limit = *instance.limit;
  if (!limit.has_rate()) return 0;
  const double burst = limit.settings().rate->burst;
  if (instance.full_time <= now) return burst;
  return burst - absl::ToDoubleNanoseconds(instance.full_time - now) /
                     limit.point_nanos;
}

LimitUsage LimitTable::UsageOf(const LimitInstance& instance, absl::Time now) {
  LimitUsage usage{.key = instance.key,
                   .running = instance.running,
                   .points = PointsOf(instance, now),
                   .waiting_lanes = instance.parked_lanes};
  if (instance.pause_until > now) usage.pause_until = instance.pause_until;
  return usage;
}

void LimitTable::MarkDirty(LimitInstance* instance) {
  if (instance->limit->deleted || std::exchange(instance->dirty, true)) return;
  dirty_.emplace(instance->number, instance);
}

void LimitTable::Put(Clock* clock, absl::Time* place, absl::Time time,
                     LimitInstance* instance) {
  *place = time;
  (*clock)[time].emplace(instance->number, instance);
}

void LimitTable::Remove(Clock* clock, absl::Time* place,
                        const LimitInstance& instance) {
  const absl::Time time = std::exchange(*place, absl::InfiniteFuture());
  if (time == absl::InfiniteFuture()) return;
  const auto at = clock->find(time);
  at->second.erase(instance.number);
  if (at->second.empty()) clock->erase(at);
}

void LimitTable::UpdateIdle(LimitInstance* instance) {
  if (instance->idle_until != absl::InfiniteFuture()) {
    Remove(&idle_, &instance->idle_until, *instance);
    --idle_count_;
  }
  if (instance->users > 0) return;
  Put(&idle_, &instance->idle_until, instance->over(), instance);
  ++idle_count_;
}

void LimitTable::Forget(LimitInstance* instance) {
  APIUM_CHECK(instance->users == 0 && instance->running == 0 &&
              instance->parked_lanes == 0);
  LiveLimit* limit = instance->limit;
  // What it said is over sooner than it said.
  if (instance->stored_until > now_) deletes_.Delete(RowKey(*instance));
  Remove(&clock_, &instance->clock_time, *instance);
  Remove(&idle_, &instance->idle_until, *instance);
  --idle_count_;
  freed_.erase(instance->number);
  dirty_.erase(instance->number);
  limit->instances.erase(instance->key);
  if (limit->deleted && limit->instances.empty()) deleted_.erase(limit);
}

void LimitTable::WriteRow(LimitInstance* instance, StoreBatch* batch) {
  instance->dirty = false;
  if (instance->limit->deleted) return;
  const bool stored = instance->stored_until > now_;
  if (instance->over() <= now_) {
    if (stored) batch->Delete(RowKey(*instance));
    instance->stored_until = absl::InfinitePast();
    return;
  }
  StoredLimitState state{.generation = instance->limit->stored.generation,
                         .point_nanos = instance->point_nanos};
  if (instance->full_time > now_) state.full_time = instance->full_time;
  if (instance->pause_until > now_) state.pause_until = instance->pause_until;
  instance->stored_until = state.over();
  batch->Put(RowKey(*instance), EncodeLimitState(state));
}

// Those that are over the soonest go: they are the ones that are read again the
// least.
void LimitTable::ShrinkIdle() {
  while (idle_count_ > idle_max_) {
    LimitInstance* instance = idle_.begin()->second.begin()->second;
    LiveLimit* limit = instance->limit;
    limit->stored_states_until =
        std::max(limit->stored_states_until, instance->stored_until);
    // The row stays.
    instance->stored_until = absl::InfinitePast();
    Forget(instance);
  }
}

void LimitTable::Flush(StoreBatch* batch) {
  for (const auto& [namespace_name, name] : dirty_limits_) {
    const LiveLimit* limit = Find(namespace_name, name);
    const std::string key = LimitRowKey(namespace_name, name);
    if (limit == nullptr) {
      batch->Delete(key);
    } else {
      batch->Put(key, EncodeLimit(limit->stored));
    }
  }
  dirty_limits_.clear();
  batch->Append(deletes_);
  deletes_.Clear();
  for (const auto& [number, instance] : std::exchange(dirty_, {}))
    WriteRow(instance, batch);
  ShrinkIdle();
}

}  // namespace apium::broker
