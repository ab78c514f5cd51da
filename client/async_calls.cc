#include "client/async_calls.h"

namespace apium {

AsyncCalls::~AsyncCalls() { CancelAndWait(); }

bool AsyncCalls::Enter(CancellableCall* call) {
  absl::MutexLock lock(&mu_);
  if (closing_) return false;
  calls_.insert(call);
  return true;
}

void AsyncCalls::Leave(CancellableCall* call) {
  absl::MutexLock lock(&mu_);
  calls_.erase(call);
}

void AsyncCalls::CancelAndWait() {
  absl::MutexLock lock(&mu_);
  closing_ = true;
  // Under the lock, so that no call can leave, and be deleted, while it is
  // told. Cancelling only posts work to gRPC's threads: it never comes back
  // here on this thread.
  for (CancellableCall* call : calls_) call->Cancel();
  mu_.Await(absl::Condition(
      +[](AsyncCalls* self)
           ABSL_NO_THREAD_SAFETY_ANALYSIS { return self->calls_.empty(); },
      this));
}

}  // namespace apium
