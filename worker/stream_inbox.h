#ifndef APIUM_WORKER_STREAM_INBOX_H_
#define APIUM_WORKER_STREAM_INBOX_H_

#include <google/protobuf/arena.h>

#include <atomic>
#include <cstddef>
#include <memory>

#include "apium/v1/worker_service.pb.h"
#include "worker/session_core.h"

namespace apium {

// Memory that messages of one broker may hold while some of their tasks run.
// Beyond it deliveries are copied, so that each is freed with its own task.
inline constexpr size_t kSharedBytesMax = 64 * 1024 * 1024;

// A message of the broker, on an arena: a delivery is some twenty small
// objects, and to allocate and free each costs more than to run a trivial task.
// Its attempts keep it alive, so a long task keeps the arguments of the short
// ones that came with it; `shared_bytes` counts that, for the bound.
class StreamInbox {
 public:
  // `shared_bytes` is common to all messages of a broker.
  explicit StreamInbox(std::shared_ptr<std::atomic<size_t>> shared_bytes);
  ~StreamInbox();
  StreamInbox(const StreamInbox&) = delete;
  StreamInbox& operator=(const StreamInbox&) = delete;

  v1::WorkResponse* response() { return response_; }

  // Once it is filled: whether attempts may keep it.
  DeliveryStorage CountShared();

 private:
  google::protobuf::Arena arena_;
  const std::shared_ptr<std::atomic<size_t>> shared_bytes_;
  v1::WorkResponse* const response_;
  size_t counted_bytes_ = 0;
};

}  // namespace apium

#endif  // APIUM_WORKER_STREAM_INBOX_H_
