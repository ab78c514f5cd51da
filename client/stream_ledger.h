// What a TaskStream remembers: which tasks wait to be sent, in which messages,
// and which are unanswered. Pure: no network, clock or thread. Private to
// client/.

#ifndef APIUM_CLIENT_STREAM_LEDGER_H_
#define APIUM_CLIENT_STREAM_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apium/v1/task_service.pb.h"

namespace apium {

struct StreamLedgerLimits {
  size_t window =
      8192;  // tasks that may be unanswered, those not yet sent included; >= 1
  size_t batch_tasks_max = 256;      // tasks in one message; >= 1
  size_t batch_bytes_max = 1 << 20;  // payload and headers of one message,
                                     // unless a single task has more
};

// Tasks are kept in the message that carries them until all tasks of the
// message are answered, so that nothing is copied for the case that the stream
// breaks; then the message is used again, with the memory that it has. One
// thread at a time.
//
// A task has a `sequence`, which counts all tasks from 1, and in each stream a
// number of its own, as the broker counts.
class StreamLedger {
 public:
  struct Answered {
    uint64_t sequence = 0;
    // Valid until Recycle.
    const std::string* task_id = nullptr;
  };

  explicit StreamLedger(const StreamLedgerLimits& limits);

  // Tasks that were added and not answered.
  size_t unanswered() const { return unanswered_; }
  // How many more may be added.
  size_t room() const {
    return unanswered_ >= limits_.window ? 0 : limits_.window - unanswered_;
  }
  size_t window() const { return limits_.window; }

  // Adds a task; takes the content of `spec`, which gets the remains of an
  // older task in exchange: memory to fill again after Clear(). `spec` must
  // have an id. There must be room. Returns its sequence.
  uint64_t Add(v1::TaskSpec* spec);

  // A stream was opened, and the broker permits `window` (>= 1) unanswered
  // tasks on it. Nothing may have been sent since the last Rewind.
  void Open(size_t window);

  // The next message to send, or nullptr: nothing waits, the broker's window is
  // full, or no stream is open. Must not be changed; valid until its tasks are
  // answered, or Rewind.
  const v1::StreamTasksRequest* Next();

  // The broker answered the task with this number in the open stream. INTERNAL:
  // it answered what it was not asked.
  absl::StatusOr<Answered> Answer(uint64_t number);
  // Takes back the messages whose tasks are all answered. Between Answer and
  // this, what Answer returned stays valid.
  void Recycle();

  // The stream is lost: all unanswered tasks wait to be sent again, in their
  // order. No answer may be in use.
  void Rewind();

  // Ids of the unanswered tasks, oldest first.
  std::vector<std::string> UnansweredIds() const;

 private:
  struct Batch {
    v1::StreamTasksRequest message;
    std::vector<uint64_t> sequences;  // of its tasks
    std::vector<bool> answered;
    uint64_t first_number =
        0;  // of its first task in the open stream; set when sent
    size_t unanswered = 0;
    size_t bytes = 0;

    size_t size() const { return sequences.size(); }
  };

  Batch* BatchFor(size_t bytes);
  void Append(v1::TaskSpec* spec, uint64_t sequence);
  Batch* FindSent(uint64_t number);

  const StreamLedgerLimits limits_;
  size_t
      batch_tasks_max_;  // the limit, or the broker's window if that is smaller
  size_t broker_window_ = 0;
  uint64_t last_sequence_ = 0;
  uint64_t next_number_ = 1;
  size_t unanswered_ = 0;
  size_t sent_unanswered_ = 0;
  // The first `sent_` were sent on the open stream; tasks are added to the last
  // one while it is not among them.
  std::deque<std::unique_ptr<Batch>> batches_;
  size_t sent_ = 0;
  Batch* last_found_ = nullptr;
  std::vector<std::unique_ptr<Batch>> free_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_STREAM_LEDGER_H_
