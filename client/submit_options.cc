#include "client/submit_options.h"

#include <google/protobuf/map.h>

#include <utility>

#include "common/rpc/proto_time.h"

namespace apium {
namespace {

bool IsSet(const SubmitRetryOptions& retry) {
  return retry.attempts_max || retry.initial_delay || retry.multiplier ||
         retry.delay_max || retry.jitter ||
         !retry.non_retryable_types.empty() || retry.crashes_max ||
         retry.returns_max || retry.total_time_limit;
}

void FillRetryPolicy(SubmitRetryOptions retry, v1::RetryPolicy* policy) {
  if (retry.attempts_max) policy->set_max_attempts(*retry.attempts_max);
  if (retry.initial_delay)
    DurationToProto(*retry.initial_delay, policy->mutable_initial_delay());
  if (retry.multiplier) policy->set_multiplier(*retry.multiplier);
  if (retry.delay_max)
    DurationToProto(*retry.delay_max, policy->mutable_max_delay());
  if (retry.jitter) policy->set_jitter(*retry.jitter);
  for (std::string& type : retry.non_retryable_types)
    policy->add_non_retryable_types(std::move(type));
  if (retry.crashes_max) policy->set_max_crashes(*retry.crashes_max);
  if (retry.returns_max) policy->set_max_returns(*retry.returns_max);
  if (retry.total_time_limit) {
    DurationToProto(*retry.total_time_limit,
                    policy->mutable_total_time_limit());
  }
}

bool IsSet(const SubmitUniqueOptions& unique) {
  return !unique.key.empty() || unique.window ||
         unique.scope != v1::UNIQUE_SCOPE_UNSPECIFIED ||
         unique.on_conflict != v1::UNIQUE_CONFLICT_UNSPECIFIED;
}

void FillUnique(SubmitUniqueOptions options, v1::Unique* unique) {
  unique->set_key(std::move(options.key));
  unique->set_scope(options.scope);
  if (options.window)
    DurationToProto(*options.window, unique->mutable_window());
  unique->set_on_conflict(options.on_conflict);
}

using Pairs = std::map<std::string, std::string>;

void FillPairs(Pairs pairs,
               google::protobuf::Map<std::string, std::string>* proto) {
  for (auto& [name, value] : pairs) (*proto)[name] = std::move(value);
}

void FillPlacement(SubmitPlacementOptions options, v1::TaskSpec* spec) {
  spec->set_fairness_key(std::move(options.fairness_key));
  if (options.fairness_weight)
    spec->set_fairness_weight(*options.fairness_weight);
  spec->set_ordering_key(std::move(options.ordering_key));
  spec->set_ordering_failure_policy(options.ordering_failure_policy);
  FillPairs(std::move(options.required_labels),
            spec->mutable_required_labels());
  FillPairs(std::move(options.preferred_labels),
            spec->mutable_preferred_labels());
  spec->set_sticky_key(std::move(options.sticky_key));
  FillPairs(std::move(options.limit_keys), spec->mutable_limit_keys());
}

}  // namespace

v1::TaskSpec ToTaskSpec(SubmitOptions options) {
  v1::TaskSpec spec;
  spec.set_type(std::move(options.type));
  *spec.mutable_payload() = std::move(options.payload);
  spec.set_task_id(std::move(options.task_id));
  spec.set_queue(std::move(options.queue));
  spec.set_exchange(std::move(options.exchange));
  spec.set_routing_key(std::move(options.routing_key));
  if (options.priority) spec.set_priority(*options.priority);
  if (options.delay) DurationToProto(*options.delay, spec.mutable_delay());
  if (options.eta) TimeToProto(*options.eta, spec.mutable_eta());
  if (options.expires)
    DurationToProto(*options.expires, spec.mutable_expire_after());
  if (options.expire_time)
    TimeToProto(*options.expire_time, spec.mutable_expire_time());
  if (IsSet(options.retry))
    FillRetryPolicy(std::move(options.retry), spec.mutable_retry_policy());
  if (options.result_ttl)
    DurationToProto(*options.result_ttl, spec.mutable_result_ttl());
  if (options.soft_time_limit)
    DurationToProto(*options.soft_time_limit, spec.mutable_soft_time_limit());
  FillPairs(std::move(options.headers), spec.mutable_headers());
  spec.set_result_mode(options.result_mode);
  spec.set_delivery_mode(options.delivery_mode);
  spec.set_batch_id(std::move(options.batch_id));
  if (IsSet(options.unique))
    FillUnique(std::move(options.unique), spec.mutable_unique());
  FillPlacement(std::move(options.placement), &spec);
  return spec;
}

}  // namespace apium
