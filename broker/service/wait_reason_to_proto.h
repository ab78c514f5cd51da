#ifndef APIUM_BROKER_SERVICE_WAIT_REASON_TO_PROTO_H_
#define APIUM_BROKER_SERVICE_WAIT_REASON_TO_PROTO_H_

#include "broker/engine/wait_reason.h"

namespace apium::v1 {
class WaitReason;
}  // namespace apium::v1

namespace apium::broker {

// What holds tasks up, for the caller. Takes the strings. Any thread.
void WaitReasonToProto(WaitReason&& reason, v1::WaitReason* proto);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_WAIT_REASON_TO_PROTO_H_
