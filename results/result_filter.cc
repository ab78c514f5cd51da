#include "results/result_filter.h"

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
  return filter;
}

bool ResultFilter::Matches(const LogEntry& entry) const {
  return (states == 0 || (states >> entry.state & 1) != 0) &&
         (queue.empty() || queue == entry.queue) &&
         (type.empty() || type == entry.type) &&
         entry.finish_ns >= finished_after_ns &&
         entry.finish_ns < finished_before_ns;
}

uint64_t ResultFilter::StableHash() const {
  FingerprintBuilder builder;
  builder.AddUint64(states)
      .AddBytes(queue)
      .AddBytes(type)
      .AddInt64(finished_after_ns)
      .AddInt64(finished_before_ns);
  return builder.Finish().low;
}

}  // namespace apium::results
