// The calls of a client that are under way.

#ifndef APIUM_CLIENT_ASYNC_CALLS_H_
#define APIUM_CLIENT_ASYNC_CALLS_H_

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace apium {

// A call that can be told to end early. It still reports that it ended.
class CancellableCall {
 public:
  virtual ~CancellableCall() = default;
  // Any thread; at any time before the call left its AsyncCalls.
  virtual void Cancel() = 0;
};

// Lets the owner of callbacks go away safely: no callback runs after
// CancelAndWait. Any thread.
class AsyncCalls {
 public:
  AsyncCalls() = default;
  // CancelAndWait.
  ~AsyncCalls();
  AsyncCalls(const AsyncCalls&) = delete;
  AsyncCalls& operator=(const AsyncCalls&) = delete;

  // False once CancelAndWait has begun: then the call must not start.
  bool Enter(CancellableCall* call) ABSL_LOCKS_EXCLUDED(mu_);
  // After the call's callback has returned; the call may be deleted then.
  void Leave(CancellableCall* call) ABSL_LOCKS_EXCLUDED(mu_);

  // Ends every call with CANCELLED and returns when all have left. Never from a
  // callback of one of them.
  void CancelAndWait() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_set<CancellableCall*> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium

#endif  // APIUM_CLIENT_ASYNC_CALLS_H_
