#ifndef APIUM_RESULTS_SERVICE_OPEN_CALL_H_
#define APIUM_RESULTS_SERVICE_OPEN_CALL_H_

#include "absl/status/status.h"
#include "results/effects.h"

namespace apium::results {

// A call that the core knows by its CallId: what can come back for it. Each
// kind of call gets only some of these. Any thread; must not block.
class OpenCall {
 public:
  virtual ~OpenCall() = default;

  virtual void OnReply(Reply /*reply*/) {}
  virtual void OnConfirmation(const Confirmation& /*confirmation*/) {}
  virtual void OnPush(WatchPush /*push*/) {}
  // The server ends the call.
  virtual void OnEnd(const absl::Status& status) = 0;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_OPEN_CALL_H_
