#include "broker/service/wait_reason_to_proto.h"

#include <utility>

#include "apium/v1/explain.pb.h"
#include "common/rpc/proto_time.h"

namespace apium::broker {

void WaitReasonToProto(WaitReason&& reason, v1::WaitReason* proto) {
  proto->set_kind(static_cast<v1::WaitReasonKind>(reason.kind));
  proto->set_text(std::move(reason.text));
  if (reason.until != absl::InfiniteFuture()) {
    TimeToProto(reason.until, proto->mutable_until());
  }
  if (reason.since != absl::InfinitePast()) {
    TimeToProto(reason.since, proto->mutable_since());
  }
  for (std::string& task_id : reason.task_ids) {
    proto->add_task_ids(std::move(task_id));
  }
  proto->set_ahead(reason.ahead);
  proto->set_estimate(reason.estimate);
  proto->set_limit(std::move(reason.limit));
  proto->set_limit_key(std::move(reason.limit_key));
  proto->set_usage(reason.usage);
  proto->set_capacity(reason.capacity);
  proto->set_tasks(reason.tasks);
  // Of a queue: that of a task has none.
  if (reason.blocked_time != absl::ZeroDuration()) {
    DurationToProto(reason.blocked_time, proto->mutable_blocked_time());
  }
}

}  // namespace apium::broker
