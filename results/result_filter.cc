#include "results/result_filter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "apium/v1/result_service.pb.h"
#include "apium/v1/task.pb.h"
#include "common/error_reason.h"
#include "common/fingerprint.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"

namespace apium::results {
namespace {

// As documented in apium/v1/result_service.proto.
constexpr size_t kHeadersMax = 16;

// absl::ToUnixNanos saturates, so that a time that 64 bits of nanoseconds
// cannot hold is before or after all that is stored.
absl::StatusOr<int64_t> UnixNanos(const char* field,
                                  const google::protobuf::Timestamp& proto) {
  APIUM_ASSIGN_OR_RETURN(const absl::Time time, TimeFromProto(field, proto));
  return absl::ToUnixNanos(time);
}

}  // namespace

absl::StatusOr<ResultFilter> ResultFilter::From(const v1::ResultFilter& proto) {
  ResultFilter filter;
  bool any_state = false;
  for (int i = 0; i < proto.states_size(); ++i) {
    const int state = proto.states(i);
    if (!v1::TaskState_IsValid(state)) {
      return InvalidField(
          absl::StrCat("filter.states[", i, "]"),
          absl::StrCat(state, " is not a state of apium.v1.TaskState"));
    }
    any_state |= state == v1::TASK_STATE_UNSPECIFIED;
    filter.states |= 1u << state;
  }
  if (any_state) {
    filter.states = 0;
  }
  if (!proto.queue().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("filter.queue", proto.queue()));
    filter.queue = proto.queue();
  }
  if (!proto.type().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("filter.type", proto.type()));
    filter.type = proto.type();
  }
  if (proto.has_finished_after()) {
    APIUM_ASSIGN_OR_RETURN(
        filter.finished_after_ns,
        UnixNanos("filter.finished_after", proto.finished_after()));
  }
  if (proto.has_finished_before()) {
    APIUM_ASSIGN_OR_RETURN(
        filter.finished_before_ns,
        UnixNanos("filter.finished_before", proto.finished_before()));
  }
  if (proto.has_created_after()) {
    APIUM_ASSIGN_OR_RETURN(
        filter.created_after_ns,
        UnixNanos("filter.created_after", proto.created_after()));
  }
  if (proto.has_created_before()) {
    APIUM_ASSIGN_OR_RETURN(
        filter.created_before_ns,
        UnixNanos("filter.created_before", proto.created_before()));
  }
  if (proto.headers().size() > kHeadersMax) {
    return InvalidField(
        "filter.headers",
        absl::StrCat("has ", proto.headers().size(), " entries; at most ",
                     kHeadersMax, " can be asked for"));
  }
  for (const auto& [name, value] : proto.headers()) {
    APIUM_RETURN_IF_ERROR(ValidateHeaderName("filter.headers", name));
    filter.headers.emplace_back(name, value);
  }
  std::sort(filter.headers.begin(), filter.headers.end());
  return filter;
}

bool ResultFilter::Matches(const LogEntry& entry) const {
  return (states == 0 || (states >> entry.state & 1) != 0) &&
         (queue.empty() || queue == entry.queue) &&
         (type.empty() || type == entry.type) &&
         entry.finish_ns >= finished_after_ns &&
         entry.finish_ns < finished_before_ns;
}

bool ResultFilter::NeedsOutcome() const {
  return !headers.empty() ||
         created_after_ns != std::numeric_limits<int64_t>::min() ||
         created_before_ns != std::numeric_limits<int64_t>::max();
}

bool ResultFilter::Matches(const v1::TaskOutcome& outcome) const {
  if (!NeedsOutcome()) return true;
  const int64_t created_ns =
      absl::ToUnixNanos(absl::FromUnixSeconds(outcome.create_time().seconds()) +
                        absl::Nanoseconds(outcome.create_time().nanos()));
  if (created_ns < created_after_ns || created_ns >= created_before_ns) {
    return false;
  }
  return std::all_of(headers.begin(), headers.end(), [&](const auto& header) {
    const auto found = outcome.headers().find(header.first);
    return found != outcome.headers().end() && found->second == header.second;
  });
}

uint64_t ResultFilter::StableHash() const {
  FingerprintBuilder builder;
  builder.AddUint64(states)
      .AddBytes(queue)
      .AddBytes(type)
      .AddInt64(finished_after_ns)
      .AddInt64(finished_before_ns);
  // Tokens of filters that know nothing else stay as they were.
  if (NeedsOutcome()) {
    builder.AddInt64(created_after_ns).AddInt64(created_before_ns);
    for (const auto& [name, value] : headers) {
      builder.AddBytes(name).AddBytes(value);
    }
  }
  return builder.Finish().low;
}

}  // namespace apium::results
