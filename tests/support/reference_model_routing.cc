// Exchanges, bindings and route rules in the reference model, said plainly.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/engine_text.h"
#include "tests/support/reference_model.h"

namespace apium::broker {
namespace {

const char kExchangeNotFound[] = "NOT_FOUND/EXCHANGE_NOT_FOUND";
const char kQueueNotFound[] = "NOT_FOUND/QUEUE_NOT_FOUND";

using Words = std::vector<std::string>;

bool TakesWords(const Words& pattern, size_t p, const Words& key, size_t k) {
  if (p == pattern.size()) return k == key.size();
  if (pattern[p] == "#") {
    return TakesWords(pattern, p + 1, key, k) ||
           (k < key.size() && TakesWords(pattern, p, key, k + 1));
  }
  return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) &&
         TakesWords(pattern, p + 1, key, k + 1);
}

bool Takes(const Binding& binding, ExchangeType type, const std::string& key,
           const std::vector<std::pair<std::string, std::string>>& headers) {
  const auto has = [&](const auto& wanted) {
    return std::any_of(headers.begin(), headers.end(), [&](const auto& header) {
      return header.first == wanted.first &&
             (wanted.second.empty() || header.second == wanted.second);
    });
  };
  switch (type) {
    case ExchangeType::kDirect:
      return binding.routing_key == key;
    case ExchangeType::kTopic:
      return TakesWords(absl::StrSplit(binding.routing_key, '.'), 0,
                        absl::StrSplit(key, '.'), 0);
    case ExchangeType::kFanout:
      return true;
    case ExchangeType::kHeaders:
      break;
  }
  return binding.match_any
             ? std::any_of(binding.headers.begin(), binding.headers.end(), has)
             : std::all_of(binding.headers.begin(), binding.headers.end(), has);
}

}  // namespace

std::set<std::string> ReferenceModel::QueuesOf(
    const Route& route,
    const std::vector<std::pair<std::string, std::string>>& headers) const {
  std::set<std::string> queues;
  std::set<std::string> seen;
  std::vector<std::string> to_do = {route.exchange};
  while (!to_do.empty()) {
    const std::string name = to_do.back();
    to_do.pop_back();
    if (exchanges_.count(name) == 0 || !seen.insert(name).second) continue;
    const ModelExchange& exchange = exchanges_.at(name);
    bool matched = false;
    for (const Binding& binding : exchange.bindings) {
      if (!Takes(binding, exchange.settings.type, route.routing_key, headers))
        continue;
      matched = true;
      if (binding.queue.empty()) {
        to_do.push_back(binding.destination_exchange);
      } else {
        queues.insert(binding.queue);
      }
    }
    if (!matched) to_do.push_back(exchange.settings.alternate_exchange);
  }
  return queues;
}

// Histories use no patterns but whole names and "*".
std::string ReferenceModel::RuledQueue(const std::string& type) const {
  for (const RouteRule& rule : rules_) {
    if (rule.type_pattern == "*" || rule.type_pattern == type)
      return rule.queue;
  }
  return "default";
}

std::string ReferenceModel::ExchangeAnswer(const std::string& name) const {
  const auto it = exchanges_.find(name);
  if (it == exchanges_.end()) return kExchangeNotFound;
  Exchange shown = it->second.settings;
  shown.bindings = static_cast<uint32_t>(it->second.bindings.size());
  return ReplyText({.body = ExchangeReply{.exchange = std::move(shown)}});
}

std::string ReferenceModel::UserOf(const std::string& name) const {
  for (const auto& [other, exchange] : exchanges_) {
    if (other == name) continue;
    const bool leads =
        std::any_of(exchange.bindings.begin(), exchange.bindings.end(),
                    [&](const Binding& binding) {
                      return binding.destination_exchange == name;
                    });
    if (leads || exchange.settings.alternate_exchange == name) return other;
  }
  return "";
}

bool ReferenceModel::MakeReachable(const std::string& queue) {
  if (options_.create_queues_on_use) queues_[queue];
  return queues_.count(queue) > 0;
}

// --- Commands ---

void ReferenceModel::Apply(const CreateExchangeCommand& command) {
  const uint64_t tag = command.reply.tag;
  const Exchange& asked = command.exchange;
  const auto it = exchanges_.find(asked.name);
  if (it != exchanges_.end()) {
    ExpectReply(tag, it->second.settings.type == asked.type
                         ? ExchangeAnswer(asked.name)
                         : "ALREADY_EXISTS/EXCHANGE_EXISTS");
  } else if (!asked.alternate_exchange.empty() &&
             exchanges_.count(asked.alternate_exchange) == 0) {
    ExpectReply(tag, kExchangeNotFound);
  } else {
    exchanges_[asked.name].settings = asked;
    ExpectReply(tag, ExchangeAnswer(asked.name));
  }
}

void ReferenceModel::Apply(const UpdateExchangeCommand& command) {
  const uint64_t tag = command.reply.tag;
  const auto it = exchanges_.find(command.name);
  const std::string& alternate = command.alternate_exchange;
  if (it == exchanges_.end() ||
      (!alternate.empty() && exchanges_.count(alternate) == 0))
    return ExpectReply(tag, kExchangeNotFound);
  Exchange& settings = it->second.settings;
  if (settings.alternate_exchange != alternate) ++settings.revision;
  settings.alternate_exchange = alternate;
  ExpectReply(tag, ExchangeAnswer(command.name));
}

void ReferenceModel::Apply(const DeleteExchangeCommand& command) {
  if (exchanges_.count(command.name) == 0) {
    ExpectReply(command.reply.tag, kExchangeNotFound);
  } else if (!UserOf(command.name).empty()) {
    ExpectReply(command.reply.tag, "FAILED_PRECONDITION/EXCHANGE_IN_USE");
  } else {
    exchanges_.erase(command.name);
    ExpectReply(command.reply.tag, "OK");
  }
}

void ReferenceModel::Apply(const CreateBindingCommand& command) {
  const uint64_t tag = command.reply.tag;
  const Binding& binding = command.binding;
  const auto it = exchanges_.find(binding.exchange);
  if (it == exchanges_.end()) return ExpectReply(tag, kExchangeNotFound);
  if (it->second.bindings.count(binding) == 0) {
    const ExchangeType type = it->second.settings.type;
    const bool compares_keys =
        type == ExchangeType::kDirect || type == ExchangeType::kTopic;
    const bool fits =
        (compares_keys || binding.routing_key.empty()) &&
        (type == ExchangeType::kHeaders || binding.headers.empty());
    if (!fits) return ExpectReply(tag, "INVALID_ARGUMENT/INVALID_FIELD");
    if (!binding.queue.empty() && !MakeReachable(binding.queue))
      return ExpectReply(tag, kQueueNotFound);
    if (binding.queue.empty() &&
        exchanges_.count(binding.destination_exchange) == 0)
      return ExpectReply(tag, kExchangeNotFound);
    it->second.bindings.insert(binding);
  }
  ExpectReply(tag, "OK");
}

void ReferenceModel::Apply(const DeleteBindingCommand& command) {
  const auto it = exchanges_.find(command.binding.exchange);
  if (it == exchanges_.end())
    return ExpectReply(command.reply.tag, kExchangeNotFound);
  ExpectReply(command.reply.tag, it->second.bindings.erase(command.binding) > 0
                                     ? "OK"
                                     : "NOT_FOUND/BINDING_NOT_FOUND");
}

void ReferenceModel::Apply(const ListBindingsCommand& command) {
  BindingPageReply all;
  for (const auto& [name, exchange] : exchanges_)
    all.bindings.insert(all.bindings.end(), exchange.bindings.begin(),
                        exchange.bindings.end());
  ExpectReply(command.reply.tag, ReplyText({.body = std::move(all)}));
}

void ReferenceModel::Apply(const SetRouteRulesCommand& command) {
  for (const RouteRule& rule : command.rules) {
    if (!MakeReachable(rule.queue))
      return ExpectReply(command.reply.tag, kQueueNotFound);
  }
  if (!(rules_ == command.rules)) {
    rules_ = command.rules;
    ++rules_revision_;
  }
  ExpectReply(
      command.reply.tag,
      ReplyText({.body = RouteRulesReply{
                     .rules = rules_, .etag = absl::StrCat(rules_revision_)}}));
}

void ReferenceModel::Apply(const ResolveRouteCommand& command) {
  ResolveRouteReply reply;
  std::set<std::string> queues = {RuledQueue(command.type)};
  if (!command.route.exchange.empty()) {
    if (exchanges_.count(command.route.exchange) == 0)
      return ExpectReply(command.reply.tag, kExchangeNotFound);
    queues = QueuesOf(command.route, command.headers);
    if (queues.empty())
      return ExpectReply(command.reply.tag, "FAILED_PRECONDITION/UNROUTABLE");
  }
  reply.queues.assign(queues.begin(), queues.end());
  ExpectReply(command.reply.tag, ReplyText({.body = std::move(reply)}));
}

// --- Submits ---

void ReferenceModel::ApplyRouted(const SubmitCommand& command) {
  const TaskContent& content = *command.content;
  std::set<std::string> queues = {RuledQueue(content.type)};
  if (command.route != nullptr) {
    if (exchanges_.count(command.route->exchange) == 0)
      return ExpectReply(command.reply.tag, kExchangeNotFound);
    queues = QueuesOf(*command.route, content.headers);
    if (queues.empty()) {
      ++counts_.unroutable;
      return ExpectReply(command.reply.tag, "FAILED_PRECONDITION/UNROUTABLE");
    }
  }
  ++counts_.routed;
  std::vector<SubmitCommand> made;
  for (const std::string& queue : queues) {
    SubmitCommand one = {.reply = command.reply,
                         .content = std::make_shared<TaskContent>(content),
                         .delay = command.delay,
                         .expire_after = command.expire_after,
                         .report_outcome = command.report_outcome,
                         .request = command.request,
                         .unsaid = command.unsaid};
    one.content->queue = queue;
    made.push_back(std::move(one));
  }
  if (made.size() == 1) return Apply(made.front());
  ApplyCopies(command, std::move(made));
}

std::string ReferenceModel::CopiesRefusal(
    const std::vector<SubmitCommand>& made) {
  const TaskContent& content = *made.front().content;
  if (content.unique != nullptr) return "FAILED_PRECONDITION/UNIQUE_KEY_COPIES";
  const auto paused = [&](const SubmitCommand& one) {
    return queues_[one.content->queue].submit_paused;
  };
  for (size_t i = 1; i < made.size(); ++i) {
    const std::string id = absl::StrCat(content.task_id, ".", i + 1);
    if (!content.task_id.empty() && Find(id) != nullptr)
      return "ALREADY_EXISTS/TASK_ID_REUSED";
    if (paused(made[i])) return "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT";
  }
  if (paused(made.front()))
    return "FAILED_PRECONDITION/QUEUE_PAUSED_FOR_SUBMIT";
  std::string refusal = JoinRefusal(content);
  for (const SubmitCommand& one : made) {
    Demand demand;
    AddDemand(*one.content, Claim::kTake, &demand);
    if (refusal.empty()) refusal = RoomRefusal(one.content->queue, demand);
  }
  return refusal;
}

void ReferenceModel::ApplyCopies(const SubmitCommand& command,
                                 std::vector<SubmitCommand> made) {
  const uint64_t tag = command.reply.tag;
  const std::string refusal = CopiesRefusal(made);
  if (!refusal.empty()) return ExpectReply(tag, refusal);
  ++counts_.copied;
  const bool minted = command.content->task_id.empty();
  const std::string id = minted ? minted_ids_[tag] : command.content->task_id;
  if (minted && tasks_.count(id) > 0)
    AddViolation(absl::StrCat("minted id ", id, " was used before"));
  const auto copies = static_cast<uint32_t>(made.size() - 1);
  ExpectAccepted(command, id, now_, /*attached=*/false, copies);
  Accept(made.front(), id, /*blocked=*/false);
  tasks_[id].copies = copies;
  for (uint32_t i = 0; i < copies; ++i) {
    SubmitCommand& copy = made[i + 1];
    const std::string copy_id = absl::StrCat(id, ".", i + 2);
    if (!minted) copy.content->task_id = copy_id;
    copy.report_outcome = false;
    Accept(copy, copy_id, /*blocked=*/false);
  }
}

void ReferenceModel::ForgetRoutesTo(const std::string& queue) {
  for (auto& [name, exchange] : exchanges_) {
    std::erase_if(exchange.bindings, [&](const Binding& binding) {
      return binding.queue == queue;
    });
  }
}

}  // namespace apium::broker
