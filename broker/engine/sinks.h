#ifndef APIUM_BROKER_ENGINE_SINKS_H_
#define APIUM_BROKER_ENGINE_SINKS_H_

#include <cstdint>
#include <memory>

// Where answers go. The engine carries these addresses through and compares
// them, and never calls them: whoever releases the effects does, after the
// sync. That keeps the engine deterministic.
namespace apium::broker {

struct Reply;
struct WorkerPush;

// Somebody who waits for answers: one unary call, or one stream of calls told
// apart by `tag`.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Releasing thread (one at a time). Takes the answer to the command that
  // carried `tag`; must not block.
  virtual void Take(uint64_t tag, Reply&& reply) = 0;
  // Releasing thread, after the last Take of a release: a stream starts its
  // write here, so that one message carries all.
  virtual void Flush() {}
};

// The address of one answer.
struct ReplyAddress {
  std::shared_ptr<ReplySink> sink;
  uint64_t tag = 0;
};

// The stream of one worker session.
class WorkerSink {
 public:
  virtual ~WorkerSink() = default;
  // Releasing thread (one at a time); must not block. Bounded by the session's
  // credit and by what the worker reported.
  virtual void Take(WorkerPush&& push) = 0;
  // Releasing thread, after the last Take of a release.
  virtual void Flush() {}
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_SINKS_H_
