#include "broker/storage/routing_codec.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "apium/storage/v1/routing.pb.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

}  // namespace

std::string EncodeExchange(const Exchange& exchange) {
  pb::ExchangeRecord record;
  record.set_type(static_cast<uint32_t>(exchange.type));
  record.set_description(exchange.description);
  record.set_alternate_exchange(exchange.alternate_exchange);
  record.set_revision(exchange.revision);
  record.set_create_nanos(absl::ToUnixNanos(exchange.create_time));
  return record.SerializeAsString();
}

absl::StatusOr<Exchange> DecodeExchange(std::string_view value) {
  pb::ExchangeRecord record;
  const bool valid =
      ParseRecord(value, &record) &&
      record.type() >= static_cast<uint32_t>(ExchangeType::kDirect) &&
      record.type() <= static_cast<uint32_t>(ExchangeType::kHeaders);
  if (!valid) return DamagedRow("exchange");
  Exchange exchange;
  exchange.type = static_cast<ExchangeType>(record.type());
  exchange.description = std::move(*record.mutable_description());
  exchange.alternate_exchange = std::move(*record.mutable_alternate_exchange());
  exchange.revision = record.revision();
  exchange.create_time = absl::FromUnixNanos(record.create_nanos());
  return exchange;
}

std::string EncodeBinding(const StoredBinding& binding) {
  const Binding& shown = binding.binding;
  pb::BindingRecord record;
  record.set_namespace_name(binding.namespace_name);
  record.set_exchange(shown.exchange);
  record.set_queue(shown.queue);
  record.set_destination_exchange(shown.destination_exchange);
  record.set_routing_key(shown.routing_key);
  for (const auto& [name, value] : shown.headers) {
    pb::HeaderRecord* header = record.add_headers();
    header->set_name(name);
    header->set_value(value);
  }
  record.set_match_any(shown.match_any);
  return record.SerializeAsString();
}

absl::StatusOr<StoredBinding> DecodeBinding(std::string_view value) {
  pb::BindingRecord record;
  const bool valid =
      ParseRecord(value, &record) && !record.exchange().empty() &&
      record.queue().empty() != record.destination_exchange().empty();
  if (!valid) return DamagedRow("binding");
  StoredBinding binding;
  binding.namespace_name = std::move(*record.mutable_namespace_name());
  Binding& shown = binding.binding;
  shown.exchange = std::move(*record.mutable_exchange());
  shown.queue = std::move(*record.mutable_queue());
  shown.destination_exchange =
      std::move(*record.mutable_destination_exchange());
  shown.routing_key = std::move(*record.mutable_routing_key());
  for (pb::HeaderRecord& header : *record.mutable_headers()) {
    shown.headers.emplace_back(std::move(*header.mutable_name()),
                               std::move(*header.mutable_value()));
  }
  shown.match_any = record.match_any();
  return binding;
}

std::string EncodeRouteRules(const StoredRouteRules& rules) {
  pb::RouteRulesRecord record;
  record.set_revision(rules.revision);
  for (const RouteRule& rule : rules.rules) {
    pb::RouteRuleRecord* added = record.add_rules();
    added->set_type_pattern(rule.type_pattern);
    added->set_queue(rule.queue);
  }
  return record.SerializeAsString();
}

absl::StatusOr<StoredRouteRules> DecodeRouteRules(std::string_view value) {
  pb::RouteRulesRecord record;
  if (!ParseRecord(value, &record) || record.revision() == 0)
    return DamagedRow("route rules");
  StoredRouteRules rules;
  rules.revision = record.revision();
  rules.rules.reserve(record.rules_size());
  for (pb::RouteRuleRecord& rule : *record.mutable_rules()) {
    rules.rules.push_back(
        {.type_pattern = std::move(*rule.mutable_type_pattern()),
         .queue = std::move(*rule.mutable_queue())});
  }
  return rules;
}

}  // namespace apium::broker
