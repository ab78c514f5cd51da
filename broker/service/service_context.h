#ifndef APIUM_BROKER_SERVICE_SERVICE_CONTEXT_H_
#define APIUM_BROKER_SERVICE_SERVICE_CONTEXT_H_

#include <cstdint>

#include "broker/service/task_from_proto.h"

namespace apium {
class Clock;
}  // namespace apium

namespace apium::broker {

class Mailbox;
class OpenCalls;
class ResultReader;

// What the services share. Everything outlives them.
struct ServiceContext {
  Mailbox* mailbox = nullptr;
  OpenCalls* open_calls = nullptr;
  // Null: no result service is configured.
  ResultReader* results = nullptr;
  const Clock* clock = nullptr;
  TaskLimits limits;
  // Tasks of a StreamTasks call that may be unanswered. Measured: beyond a few
  // thousand, latency grows and throughput does not.
  uint32_t stream_window = 8192;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_SERVICE_CONTEXT_H_
