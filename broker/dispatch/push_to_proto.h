#ifndef APIUM_BROKER_DISPATCH_PUSH_TO_PROTO_H_
#define APIUM_BROKER_DISPATCH_PUSH_TO_PROTO_H_

#include <cstddef>

#include "broker/engine/effects.h"

namespace apium::v1 {
class BrokerPush;
}  // namespace apium::v1

namespace apium::broker {

// Adds what the engine has to say to a worker to `proto`; not SessionOpened and
// SessionClosed, which are no part of it. Returns the bytes it takes, about.
size_t AddPush(WorkerPush&& push, v1::BrokerPush* proto);

}  // namespace apium::broker

#endif  // APIUM_BROKER_DISPATCH_PUSH_TO_PROTO_H_
