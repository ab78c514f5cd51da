#ifndef APIUM_BROKER_SERVICE_OPEN_CALLS_H_
#define APIUM_BROKER_SERVICE_OPEN_CALLS_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace apium::broker {

// A call that lasts: a wait, a watch, a stream.
class OpenCall {
 public:
  virtual ~OpenCall() = default;
  // The broker stops: take nothing more, answer what is under way, and end with
  // `status`. Any thread; must not block.
  virtual void End(const absl::Status& status) = 0;
};

// The lasting calls of a broker, so that a shutdown can end them. Any thread.
class OpenCalls {
 public:
  OpenCalls() = default;
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  // A call that comes after EndAll is ended at once.
  void Add(const std::shared_ptr<OpenCall>& call) ABSL_LOCKS_EXCLUDED(mu_);
  void Remove(const OpenCall* call) ABSL_LOCKS_EXCLUDED(mu_);

  // `status` is not OK.
  void EndAll(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  size_t count() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  absl::flat_hash_map<const OpenCall*, std::weak_ptr<OpenCall>> calls_
      ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_OPEN_CALLS_H_
