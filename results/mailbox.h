#ifndef APIUM_RESULTS_MAILBOX_H_
#define APIUM_RESULTS_MAILBOX_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "results/command.h"

namespace apium::results {

struct MailboxOptions {
  // New calls that may wait to be looked at.
  size_t calls_max = 65'536;
  // What one group takes: commands, and bytes of published batches. Bounds the
  // memory of a group, and how long a reader waits for a turn.
  size_t group_commands_max = 256;
  size_t group_bytes_max = 8 * 1024 * 1024;
};

// The queue in front of ResultCore. Many threads push, one takes.
class Mailbox {
 public:
  explicit Mailbox(MailboxOptions options) : options_(options) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // A new call. Any thread, never waits. RESOURCE_EXHAUSTED / RESULTS_BUSY with
  // a delay when too many wait; once closed, what Close was given.
  absl::Status PushCall(ResultCommand command) ABSL_LOCKS_EXCLUDED(mu_);

  // From a call that is open already. Never refused for want of room: each open
  // stream bounds what it has under way. Once closed, what Close was given.
  absl::Status Push(ResultCommand command) ABSL_LOCKS_EXCLUDED(mu_);

  // One thread. Waits until there is something, at most `timeout`, and moves a
  // group into the empty `commands`. False: closed, and all is taken.
  bool Take(absl::Duration timeout, std::vector<ResultCommand>* commands)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. Whether Take would return at once.
  bool HasWork() const ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread, the first call counts. What was accepted can still be taken.
  void Close(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  size_t Waiting() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return pending_.size() - next_;
  }
  void Append(ResultCommand command) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const MailboxOptions options_;
  mutable absl::Mutex mu_;
  absl::CondVar wake_;
  std::vector<ResultCommand> pending_ ABSL_GUARDED_BY(mu_);
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;  // first of pending_ not taken yet
  size_t pending_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool asleep_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status closed_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_MAILBOX_H_
