#ifndef APIUM_BROKER_SHARD_MAILBOX_H_
#define APIUM_BROKER_SHARD_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"

namespace apium::broker {

// What a mailbox holds at most, commands that the shard has taken but not yet
// applied included.
struct MailboxLimits {
  size_t commands_max = 65'536;
  size_t bytes_max = 64 * 1024 * 1024;
  // On top of the above, for what submits may not crowd out: workers' reports
  // and operators' commands.
  size_t reserved_commands = 16'384;
  size_t reserved_bytes = 32 * 1024 * 1024;
};

// What a command may use of a mailbox.
enum class MailboxShare : uint8_t {
  kOrdinary,  // submits and reads
  kReserved,  // the reserve, too: workers' reports and operators' commands
  // Never refused: few by nature, and the engine must hear of them (a caller
  // has gone).
  kUnbounded,
};

struct QueuedCommand {
  Command command;
  // Engine work in it: tasks submitted, or reports of a worker.
  uint32_t items = 1;
  // Memory that it holds, about.
  size_t bytes = 0;
};

// Waits for room in a mailbox instead of being refused.
class MailboxWaiter {
 public:
  virtual ~MailboxWaiter() = default;
  // There is room again: push once more. Shard thread, once per registration;
  // must not block.
  virtual void OnMailboxRoom() = 0;
};

// The bounded queue in front of a shard. Many threads push, the shard's thread
// takes.
class Mailbox {
 public:
  explicit Mailbox(MailboxLimits limits) : limits_(limits) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread; never waits. RESOURCE_EXHAUSTED / MAILBOX_FULL with the delay
  // after which to try again; UNAVAILABLE once closed. An empty mailbox takes a
  // command of any size.
  absl::Status Push(Command command, MailboxShare share, size_t bytes = 0)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Pushes all of `commands`, neighbours in the queue, and clears the vector;
  // or none, and leaves it as it is. Otherwise as Push.
  absl::Status PushAll(std::vector<QueuedCommand>* commands, MailboxShare share)
      ABSL_LOCKS_EXCLUDED(mu_);

  // As PushAll, but where that would answer MAILBOX_FULL, `waiter` is called
  // when there is room, and the answer is false. UNAVAILABLE once closed.
  absl::StatusOr<bool> PushAllOrWait(std::vector<QueuedCommand>* commands,
                                     MailboxShare share,
                                     std::weak_ptr<MailboxWaiter> waiter)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Shard thread. Waits until there is a command, a Wake or a Close, at most
  // `timeout`, and moves everything queued behind `taken`.
  void Take(std::vector<QueuedCommand>* taken, absl::Duration timeout)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Shard thread. Taken commands have been applied: their room is free again.
  void Retire(size_t commands, size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. Whether a Take would return at once.
  bool HasWork() const ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. Makes the current or next Take return at once.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread. From now on everything is refused with `status` (not OK); what
  // was accepted stays.
  void Close(absl::Status status) ABSL_LOCKS_EXCLUDED(mu_);

  // Any thread.
  bool closed() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t commands() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether a small ordinary command would be refused now.
  bool full() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  bool HasRoom(size_t commands, size_t bytes, MailboxShare share) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Append(std::vector<QueuedCommand>* commands, size_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SignalIfAsleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const MailboxLimits limits_;
  mutable absl::Mutex mu_;
  absl::CondVar wake_;
  std::vector<QueuedCommand> pending_ ABSL_GUARDED_BY(mu_);
  // Pending, and taken but not retired.
  size_t commands_ ABSL_GUARDED_BY(mu_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool asleep_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status closed_ ABSL_GUARDED_BY(mu_);
  std::vector<std::weak_ptr<MailboxWaiter>> waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_SHARD_MAILBOX_H_
