// Labels, tenants and limits in the reference model.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kLimitNotFound[] = "NOT_FOUND/LIMIT_NOT_FOUND";

// Points are sums of fractions: nobody is blamed for the last bits.
constexpr double kPointsTolerance = 1e-6;

const Placement& PlacementOf(const TaskContent& content) {
  static const Placement* const kNone = new Placement;
  return content.placement == nullptr ? *kNone : *content.placement;
}

// What the limit counts the task under; none: it does not count it.
std::optional<std::string> KeyUnder(const Limit& limit,
                                    const TaskContent& content) {
  // Histories use no patterns but whole names.
  const LimitSettings& settings = limit.settings;
  if (!settings.type_pattern.empty() && settings.type_pattern != content.type)
    return std::nullopt;
  if (!settings.queue_pattern.empty() &&
      settings.queue_pattern != content.queue)
    return std::nullopt;
  const Placement& placement = PlacementOf(content);
  switch (limit.partition) {
    case LimitPartition::kNone:
      return "";
    case LimitPartition::kType:
      return content.type;
    case LimitPartition::kQueue:
      return content.queue;
    case LimitPartition::kFairnessKey:
      return placement.fairness_key;
    case LimitPartition::kKey:
      break;
  }
  for (const auto& [name, value] : placement.limit_keys) {
    if (name == limit.key) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string ReferenceModel::TenantOf(const TaskContent& content) {
  return PlacementOf(content).fairness_key;
}

bool ReferenceModel::IsAlike(const TaskContent& a, const TaskContent& b) {
  const Placement& one = PlacementOf(a);
  const Placement& other = PlacementOf(b);
  return a.type == b.type && a.priority == b.priority &&
         one.fairness_key == other.fairness_key &&
         one.limit_keys == other.limit_keys &&
         one.required_labels == other.required_labels;
}

bool ReferenceModel::HasLabels(const Session& session,
                               const TaskContent& content) {
  const Placement::Labels& required = PlacementOf(content).required_labels;
  return std::all_of(required.begin(), required.end(), [&](const auto& label) {
    return std::count(session.labels.begin(), session.labels.end(), label) > 0;
  });
}

ReferenceModel::Points& ReferenceModel::PointsAt(const ModelLimit& model,
                                                 const std::string& key) {
  const Rate& rate = *model.limit.settings.rate;
  const auto [it, is_new] =
      points_.try_emplace({model.limit.name, key}, Points{rate.burst, now_});
  Points& points = it->second;
  const double per_second = rate.points / absl::ToDoubleSeconds(rate.period);
  points.left = std::min(
      rate.burst,
      points.left + per_second * absl::ToDoubleSeconds(now_ - points.time));
  points.time = now_;
  return points;
}

bool ReferenceModel::IsLimited(const Task& task, Benefit benefit) {
  for (const auto& [name, model] : limits_) {
    const LimitSettings& settings = model.limit.settings;
    const std::optional<std::string> key = KeyUnder(model.limit, *task.content);
    if (!key.has_value() || settings.disabled) continue;
    const auto pause = pauses_.find({name, *key});
    if (pause != pauses_.end() && pause->second > now_) return true;
    const auto running =
        std::count_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) {
          return entry.second.leased() &&
                 KeyUnder(model.limit, *entry.second.content) == key;
        });
    if (settings.max_concurrency > 0 && running >= settings.max_concurrency)
      return true;
    if (!settings.rate.has_value()) continue;
    const double needed = std::min(settings.rate->cost, settings.rate->burst);
    const double slack =
        benefit == Benefit::kFree ? -kPointsTolerance : kPointsTolerance;
    if (PointsAt(model, *key).left < needed + slack) return true;
  }
  return false;
}

void ReferenceModel::TakePoints(const Task& task) {
  for (const auto& [name, model] : limits_) {
    const auto key = KeyUnder(model.limit, *task.content);
    const bool takes = key.has_value() && !model.limit.settings.disabled &&
                       model.limit.settings.rate.has_value();
    if (!takes) continue;
    PointsAt(model, *key).left -= model.limit.settings.rate->cost;
    ++counts_.points_taken;
  }
}

void ReferenceModel::ApplyCharge(uint64_t session, const ChargeReport& report) {
  const Task* task = LeasedTask(session, report.lease);
  const auto it = limits_.find(report.limit);
  if (task == nullptr || it == limits_.end()) return;
  const LimitSettings& settings = it->second.limit.settings;
  const auto key = KeyUnder(it->second.limit, *task->content);
  if (!key.has_value() || !settings.rate.has_value() || settings.disabled)
    return;
  Points& points = PointsAt(it->second, *key);
  points.left = std::min(settings.rate->burst, points.left - report.points);
  ++counts_.charges;
}

bool ReferenceModel::Throttle(const Task& task, const ExecutionReport& report) {
  const auto it = limits_.find(report.throttled_limit);
  if (it == limits_.end() || it->second.limit.settings.disabled) return false;
  const auto key = KeyUnder(it->second.limit, *task.content);
  const absl::Duration delay =
      report.return_delay.value_or(absl::ZeroDuration());
  if (!key.has_value() || delay <= absl::ZeroDuration()) return false;
  absl::Time& until = pauses_[{it->first, *key}];
  until = std::max(until, now_ + delay);
  ++counts_.throttled;
  return true;
}

std::string ReferenceModel::LimitAnswer(const std::string& name) const {
  const auto it = limits_.find(name);
  return it == limits_.end()
             ? std::string(kLimitNotFound)
             : ReplyText({.body = LimitReply{.limit = it->second.limit}});
}

void ReferenceModel::ForgetUse(const std::string& name) {
  std::erase_if(points_,
                [&](const auto& entry) { return entry.first.first == name; });
  std::erase_if(pauses_,
                [&](const auto& entry) { return entry.first.first == name; });
}

void ReferenceModel::Apply(const CreateLimitCommand& command) {
  const std::string& name = command.limit.name;
  if (limits_.count(name) > 0) {
    return ExpectReply(command.reply.tag, "ALREADY_EXISTS/LIMIT_EXISTS");
  }
  limits_[name] = {.limit = command.limit};
  ExpectReply(command.reply.tag, LimitAnswer(name));
}

void ReferenceModel::Apply(const GetLimitCommand& command) {
  ExpectReply(command.reply.tag, LimitAnswer(command.name));
}

void ReferenceModel::Apply(const UpdateLimitCommand& command) {
  const auto it = limits_.find(command.name);
  if (it != limits_.end()) {
    LimitSettings& settings = it->second.limit.settings;
    const LimitSettings before = settings;
    settings.max_concurrency =
        command.max_concurrency.value_or(settings.max_concurrency);
    settings.disabled = command.disabled.value_or(settings.disabled);
    if (!(settings == before)) ++it->second.limit.revision;
  }
  ExpectReply(command.reply.tag, LimitAnswer(command.name));
}

void ReferenceModel::Apply(const DeleteLimitCommand& command) {
  ForgetUse(command.name);
  ExpectReply(command.reply.tag,
              limits_.erase(command.name) > 0 ? "OK" : kLimitNotFound);
}

void ReferenceModel::Apply(const PauseLimitKeyCommand& command) {
  const auto it = limits_.find(command.limit);
  if (it == limits_.end())
    return ExpectReply(command.reply.tag, kLimitNotFound);
  pauses_[{command.limit, command.key}] = now_ + command.duration;
  record_.unmodelled.insert(command.reply.tag);
}

}  // namespace apium::broker
