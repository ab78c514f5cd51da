#ifndef APIUM_BROKER_SERVICE_QUEUE_SETTINGS_FROM_PROTO_H_
#define APIUM_BROKER_SERVICE_QUEUE_SETTINGS_FROM_PROTO_H_

#include "absl/status/status.h"
#include "apium/v1/queue_service.pb.h"
#include "broker/engine/command.h"

namespace apium::broker {

// All settings of a queue that is to be made. INVALID_ARGUMENT names the field,
// from "queue." on.
absl::Status SettingsFromProto(v1::Queue* queue, QueueSettings* settings);

// The settings that the mask names.
absl::Status UpdateFromProto(v1::UpdateQueueRequest* request,
                             UpdateQueueCommand* command);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_QUEUE_SETTINGS_FROM_PROTO_H_
