#include "broker/service/spec_fingerprint.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "apium/v1/task.pb.h"
#include "apium/v1/task_service.pb.h"

namespace apium::broker {
namespace {

// For Timestamp and Duration.
template <typename Proto>
void AddTime(bool present, const Proto& proto, FingerprintBuilder* builder) {
  builder->AddBool(present);
  if (!present) return;
  builder->AddInt64(proto.seconds()).AddInt64(proto.nanos());
}

template <typename Map>
void AddMap(const Map& map, FingerprintBuilder* builder) {
  // A protobuf map has no order of its own.
  std::vector<std::pair<std::string_view, std::string_view>> entries(
      map.begin(), map.end());
  std::sort(entries.begin(), entries.end());
  builder->AddUint64(entries.size());
  for (const auto& [name, value] : entries) {
    builder->AddBytes(name).AddBytes(value);
  }
}

void AddRetryPolicy(const v1::TaskSpec& spec, FingerprintBuilder* builder) {
  builder->AddBool(spec.has_retry_policy());
  if (!spec.has_retry_policy()) return;
  const v1::RetryPolicy& policy = spec.retry_policy();
  builder->AddUint64(policy.max_attempts());
  AddTime(policy.has_initial_delay(), policy.initial_delay(), builder);
  builder->AddUint64(std::bit_cast<uint64_t>(policy.multiplier()));
  AddTime(policy.has_max_delay(), policy.max_delay(), builder);
  builder->AddBool(policy.has_jitter());
  builder->AddUint64(std::bit_cast<uint64_t>(policy.jitter()));
  builder->AddUint64(policy.non_retryable_types_size());
  for (const std::string& type : policy.non_retryable_types()) {
    builder->AddBytes(type);
  }
  builder->AddUint64(policy.max_crashes());
  builder->AddUint64(policy.max_returns());
  AddTime(policy.has_total_time_limit(), policy.total_time_limit(), builder);
}

void AddUnique(const v1::TaskSpec& spec, FingerprintBuilder* builder) {
  builder->AddBool(spec.has_unique());
  if (!spec.has_unique()) return;
  const v1::Unique& unique = spec.unique();
  builder->AddBytes(unique.key()).AddUint64(unique.scope());
  AddTime(unique.has_window(), unique.window(), builder);
  builder->AddUint64(unique.on_conflict());
}

// What most specs do not say, and what they could not say once: those without
// have the fingerprint that they always had.
void AddPlacement(const v1::TaskSpec& spec, FingerprintBuilder* builder) {
  const bool says_nothing =
      spec.fairness_key().empty() && spec.fairness_weight() == 0 &&
      spec.ordering_key().empty() && spec.ordering_failure_policy() == 0 &&
      spec.required_labels().empty() && spec.preferred_labels().empty() &&
      spec.sticky_key().empty() && spec.limit_keys().empty() &&
      spec.exchange().empty() && spec.routing_key().empty();
  if (says_nothing) return;
  builder->AddBytes(spec.fairness_key())
      .AddUint64(std::bit_cast<uint64_t>(spec.fairness_weight()))
      .AddBytes(spec.ordering_key())
      .AddUint64(spec.ordering_failure_policy())
      .AddBytes(spec.sticky_key())
      .AddBytes(spec.exchange())
      .AddBytes(spec.routing_key());
  AddMap(spec.required_labels(), builder);
  AddMap(spec.preferred_labels(), builder);
  AddMap(spec.limit_keys(), builder);
}

}  // namespace

Fingerprint SpecFingerprint(const v1::TaskSpec& spec) {
  FingerprintBuilder builder;
  builder.AddBytes(spec.type())
      .AddBytes(spec.queue())
      .AddBytes(spec.payload().data())
      .AddBytes(spec.payload().content_type())
      .AddBytes(spec.payload().content_encoding())
      .AddBool(spec.has_priority())
      .AddUint64(spec.priority());
  AddMap(spec.headers(), &builder);
  AddTime(spec.has_eta(), spec.eta(), &builder);
  AddTime(spec.has_delay(), spec.delay(), &builder);
  AddTime(spec.has_expire_time(), spec.expire_time(), &builder);
  AddTime(spec.has_expire_after(), spec.expire_after(), &builder);
  AddRetryPolicy(spec, &builder);
  AddTime(spec.has_result_ttl(), spec.result_ttl(), &builder);
  AddTime(spec.has_soft_time_limit(), spec.soft_time_limit(), &builder);
  AddUnique(spec, &builder);
  builder.AddUint64(spec.result_mode())
      .AddUint64(spec.delivery_mode())
      .AddBytes(spec.batch_id());
  AddPlacement(spec, &builder);
  return builder.Finish();
}

Fingerprint RequestFingerprint(const v1::TaskSpec& spec) {
  const Fingerprint content = SpecFingerprint(spec);
  return FingerprintBuilder()
      .AddUint64(content.high)
      .AddUint64(content.low)
      .AddBytes(spec.task_id())
      .Finish();
}

Fingerprint RequestFingerprint(const v1::SubmitTasksRequest& request) {
  FingerprintBuilder builder;
  builder.AddUint64(request.specs_size());
  for (const v1::TaskSpec& spec : request.specs()) {
    const Fingerprint task = RequestFingerprint(spec);
    builder.AddUint64(task.high).AddUint64(task.low);
  }
  return builder.Finish();
}

}  // namespace apium::broker
