#ifndef APIUM_BROKER_OUTBOX_OUTBOX_SINK_H_
#define APIUM_BROKER_OUTBOX_OUTBOX_SINK_H_

#include "broker/engine/effects.h"

namespace apium::broker {

// Takes the outcomes that have become durable, in the order of their positions.
class OutboxSink {
 public:
  virtual ~OutboxSink() = default;
  // Releasing thread (one at a time), after the sync; must not block.
  virtual void Take(OutboxEntry&& entry) = 0;
  // Releasing thread, after the last Take of a release.
  virtual void Flush() = 0;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_OUTBOX_OUTBOX_SINK_H_
