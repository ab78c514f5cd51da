// Limits: rules, what is used of them, charges, pauses of keys.

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "common/error_reason.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Instances that one page of usage looks at: most may not be in use.
constexpr size_t kUsageScanMax = 10000;

// Stands before the key in a page token, which is not empty for the empty key.
constexpr char kUsageToken[] = "=";

LimitSubject SubjectOf(const TaskContent& content) {
  LimitSubject subject{.namespace_name = content.namespace_name,
                       .queue = content.queue,
                       .type = content.type};
  if (content.placement != nullptr) {
    subject.fairness_key = content.placement->fairness_key;
    subject.limit_keys = &content.placement->limit_keys;
  }
  return subject;
}

template <typename T>
void TakeIfSet(const std::optional<T>& value, T* setting) {
  if (value.has_value()) *setting = *value;
}

LimitSettings ChangedSettings(const UpdateLimitCommand& command,
                              LimitSettings settings) {
  TakeIfSet(command.description, &settings.description);
  TakeIfSet(command.type_pattern, &settings.type_pattern);
  TakeIfSet(command.queue_pattern, &settings.queue_pattern);
  TakeIfSet(command.max_concurrency, &settings.max_concurrency);
  TakeIfSet(command.rate, &settings.rate);
  TakeIfSet(command.disabled, &settings.disabled);
  return settings;
}

// Why there can be no such key; OK: there can.
absl::Status CheckUsageKey(const Limit& limit, const std::string& key) {
  const bool must_be_empty = limit.partition == LimitPartition::kNone;
  const bool may_be_empty =
      must_be_empty || limit.partition == LimitPartition::kFairnessKey;
  if (must_be_empty && !key.empty()) {
    return InvalidField("key",
                        "is set; this limit counts all of its tasks together");
  }
  if (!may_be_empty && key.empty())
    return InvalidField("key", "is empty; this limit counts each key apart");
  return absl::OkStatus();
}

}  // namespace

void Engine::Impl::CountLease(LiveTask* task) {
  if (limits_.empty()) return;
  task->lease.limits = limits_.ShareOf(SubjectOf(task->content()));
  limits_.Restore(task->lease.limits);
}

void Engine::Impl::CountLeasesAnew() {
  uint64_t epoch = 0;
  while (LiveTask* task = leases_.After(epoch)) {
    epoch = task->lease.epoch;
    LimitShare former = std::exchange(task->lease.limits, {});
    CountLease(task);
    limits_.Release(former);
    limits_.Drop(&former);
  }
}

LimitInstance* Engine::Impl::HeldLimit(const LiveTask& task,
                                       const std::string& name) const {
  for (LimitInstance* instance : task.lease.limits) {
    if (instance->limit->limits() && instance->limit->limit().name == name)
      return instance;
  }
  return nullptr;
}

void Engine::Impl::ApplyCharge(const Session& session,
                               const ChargeReport& report) {
  const LiveTask* task = LeasedTask(session, report.lease);
  if (task == nullptr) return;
  LimitInstance* instance = HeldLimit(*task, report.limit);
  if (instance != nullptr) limits_.Charge(instance, report.points, now_);
}

void Engine::Impl::Throttle(LimitInstance* instance, absl::Duration delay) {
  // A longer pause, of an operator or of another task, stays.
  limits_.Pause(instance, std::max(instance->pause_until, now_ + delay));
}

absl::StatusOr<LiveLimit*> Engine::Impl::ExistingLimit(
    const std::string& namespace_name, const std::string& name) {
  if (!queues_.HasNamespace(namespace_name))
    return ExistingQueue(namespace_name, "").status();
  LiveLimit* limit = limits_.Find(namespace_name, name);
  if (limit != nullptr) return limit;
  return WithReason(
      absl::NotFoundError(absl::StrCat(
          "limit ", name, " does not exist in namespace ", namespace_name)),
      "LIMIT_NOT_FOUND", {{"limit", name}});
}

absl::Status Engine::Impl::CheckNewLimit(const std::string& namespace_name,
                                         const std::string& name) {
  if (!queues_.HasNamespace(namespace_name))
    return ExistingQueue(namespace_name, "").status();
  const LimitTable::ByName& limits = limits_.LimitsOf(namespace_name);
  if (limits.contains(name)) {
    return WithReason(absl::AlreadyExistsError(
                          absl::StrCat("limit ", name, " exists already")),
                      "LIMIT_EXISTS", {{"limit", name}});
  }
  if (limits.size() >= options_.max_limits) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "namespace ", namespace_name, " already has ", limits.size(),
            " limits, which is as many as it may have; delete one")),
        "TOO_MANY_LIMITS");
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(CreateLimitCommand&& command) {
  LimitReply reply;
  reply.status = CheckNewLimit(command.namespace_name, command.limit.name);
  if (reply.status.ok()) {
    command.limit.revision = 1;
    command.limit.create_time = now_;
    const LiveLimit* limit = limits_.Create(
        command.namespace_name,
        {.limit = std::move(command.limit), .generation = tickets_.Next()});
    CountLeasesAnew();
    reply.limit = limit->limit();
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(GetLimitCommand&& command) {
  LimitReply reply;
  const absl::StatusOr<LiveLimit*> limit =
      ExistingLimit(command.namespace_name, command.name);
  reply.status = limit.status();
  if (limit.ok()) reply.limit = (*limit)->limit();
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListLimitsCommand&& command) {
  LimitPageReply reply;
  if (!queues_.HasNamespace(command.namespace_name))
    reply.status = ExistingQueue(command.namespace_name, "").status();
  const LimitTable::ByName& limits = limits_.LimitsOf(command.namespace_name);
  for (auto it = limits.upper_bound(command.page_token);
       reply.status.ok() && it != limits.end(); ++it) {
    if (reply.limits.size() == command.page_size) {
      reply.next_page_token = reply.limits.back().name;
      break;
    }
    reply.limits.push_back(it->second->limit());
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::UpdateLimit(const UpdateLimitCommand& command,
                                       LiveLimit* limit) {
  const Limit& before = limit->limit();
  if (!command.etag.empty() && command.etag != absl::StrCat(before.revision)) {
    return WithReason(
        absl::AbortedError(absl::StrCat(
            "limit ", before.name, " has changed since etag ", command.etag,
            " was read; it is now ", before.revision)),
        "ETAG_MISMATCH");
  }
  LimitSettings settings = ChangedSettings(command, before.settings);
  if (settings.max_concurrency == 0 && !settings.rate.has_value()) {
    return InvalidField("limit.max_concurrency",
                        "neither it nor rate would be left; to limit nothing, "
                        "set disabled");
  }
  if (settings == before.settings) return absl::OkStatus();
  const bool same_tasks =
      settings.type_pattern == before.settings.type_pattern &&
      settings.queue_pattern == before.settings.queue_pattern;
  limits_.Update(limit, std::move(settings));
  if (!same_tasks) CountLeasesAnew();
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(UpdateLimitCommand&& command) {
  LimitReply reply;
  const absl::StatusOr<LiveLimit*> limit =
      ExistingLimit(command.namespace_name, command.name);
  reply.status = limit.ok() ? UpdateLimit(command, *limit) : limit.status();
  if (reply.status.ok()) reply.limit = (*limit)->limit();
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(DeleteLimitCommand&& command) {
  StatusReply reply;
  const absl::StatusOr<LiveLimit*> limit =
      ExistingLimit(command.namespace_name, command.name);
  reply.status = limit.status();
  if (limit.ok()) limits_.Delete(*limit);
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(ListLimitUsageCommand&& command) {
  LimitUsageReply reply;
  const absl::StatusOr<LiveLimit*> limit =
      ExistingLimit(command.namespace_name, command.limit);
  reply.status = limit.status();
  if (limit.ok()) {
    const auto& instances = (*limit)->instances;
    const std::string& token = command.page_token;
    auto it = token.empty() ? instances.begin()
                            : instances.upper_bound(token.substr(1));
    std::string last;
    size_t looked_at = 0;
    while (it != instances.end() && looked_at < kUsageScanMax &&
           reply.usage.size() < command.page_size) {
      const LimitInstance& instance = *it->second;
      if (LimitTable::IsInUse(instance, now_))
        reply.usage.push_back(LimitTable::UsageOf(instance, now_));
      last = it->first;
      ++looked_at;
      ++it;
    }
    if (it != instances.end())
      reply.next_page_token = absl::StrCat(kUsageToken, last);
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

absl::Status Engine::Impl::Apply(PauseLimitKeyCommand&& command) {
  LimitUsageReply reply;
  const absl::StatusOr<LiveLimit*> limit =
      ExistingLimit(command.namespace_name, command.limit);
  reply.status = limit.ok() ? CheckUsageKey((*limit)->limit(), command.key)
                            : limit.status();
  if (reply.status.ok()) {
    LimitInstance* instance = limits_.InstanceOf(*limit, command.key);
    limits_.Pause(instance, command.duration > absl::ZeroDuration()
                                ? now_ + command.duration
                                : absl::InfinitePast());
    reply.usage.push_back(LimitTable::UsageOf(*instance, now_));
  }
  AddReply(command.reply, std::move(reply));
  return absl::OkStatus();
}

}  // namespace apium::broker
