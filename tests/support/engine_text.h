#ifndef APIUM_TESTS_SUPPORT_ENGINE_TEXT_H_
#define APIUM_TESTS_SUPPORT_ENGINE_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "broker/engine/batch.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/task.h"

// The engine's answers as short texts, so that tests compare what they read.
namespace apium::broker {

// "OK", "CODE/REASON", or "CODE" of an error without a reason.
std::string StatusText(const absl::Status& status);

// "QUEUED".
const char* EventName(TaskEventKind kind);
const char* StateName(TaskState state);

// "CANCELLED".
const char* CancelResultName(CancelResult result);

// A submit: "OK" or the error. A task: its state, "FINISHED" or "UNKNOWN"
// where the result service is to be asked, or the error. An outcome:
// "outcome=FAILED", or "outcome=elsewhere". A page: ids, and " ..." when there
// is more. A queue: "ready=2 scheduled=1 leased=0". A purge: "purged 3".
// A cancel of many: "CANCELLED NOT_FOUND" by ids, "cancelled 3 requested 1" by
// filter. Counts: "default: queued=2 succeeded=1", without those that are 0.
// Workers: "w1 connected credit=1 leases=0; w2 detached draining credit=0
// leases=2". A batch: "OPEN members=2 pending=1 succeeded=1 unsuccessful=0",
// and " complete=<id>" for each callback that was submitted. A dead letter:
// "a#4 failures=4 crashes=0 Boom"; a page of them: "a b next=b". A redrive:
// "RUNNING matched=2 redriven=1 refused=1". A breaker: "OPEN 3/4", with what it
// counts in its window. An exchange: "topic events bindings=2 etag=1"; a
// binding: "events->mail a.#"; rules: "a.*->mail etag=1"; a resolved route:
// names of queues.
std::string ReplyText(const Reply& reply);

// "first_failure".
const char* BatchEventName(BatchEvent event);

// A command in one line.
std::string CommandText(const Command& command);

// Replies, pushes and outcomes in one line each, for people and for comparing
// two runs. Not the writes, which are bytes.
std::string EffectsText(const Effects& effects);

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_ENGINE_TEXT_H_
