// The decisions of a worker's session with one broker: what it holds, what it
// may still take, what to say next. Knows no clock, thread or network: whoever
// drives it passes `now` (monotonic) and carries out the effects.
//
//   stream opens   FillHello ───────────────► Hello
//   broker says    OnResponse(message, now) ► effects: run these, cancel those
//   pool says      OnFinished(attempts)
//   may write      NextReport(now, report) ─► one WorkerReport; after it was
//                  written: OnReportWritten(report)
//   stream breaks  OnStreamClosed ──────────► everything is kept for the next
//   time passes    OnTimer(now), at NextTimer() at the latest
//
// One thread at a time (worker/broker_stream.h holds a lock).

#ifndef APIUM_WORKER_SESSION_CORE_H_
#define APIUM_WORKER_SESSION_CORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "apium/v1/worker_service.pb.h"
#include "worker/attempt.h"
#include "worker/slot_ledger.h"

namespace apium {

// One report aims to stay below this: half of gRPC's default receive limit. An
// outcome that alone is larger travels alone.
inline constexpr size_t kReportBytesMax = 2 * 1024 * 1024;

// Most leases that a worker holds with one broker, finished and unacknowledged
// ones included: a Hello lists all of them (up to 150 bytes each) in one
// message of at most 8 MiB.
inline constexpr uint32_t kHeldLeasesMax = 50'000;

// How long a start or a progress waits for company before it is a reason for a
// report. Tasks that are over sooner never report a start of their own: their
// outcome says when they started.
inline constexpr absl::Duration kReportDelay = absl::Milliseconds(20);

enum class DeliveryStorage { kShare, kCopy };

struct SessionCoreOptions {
  // What the worker says of itself; without session_id and held_leases.
  v1::Hello hello;
  // Borrowed; outlive the core.
  SlotLedger* slots = nullptr;
  AttemptOwner* owner = nullptr;
  // Told the broker's limit; null: none is wanted.
  ChunkWindow* chunk_window = nullptr;
  // Index of this broker in the ledger.
  size_t broker = 0;
};

// What the driver must do after a step, outside of its lock, in this order.
struct SessionEffects {
  struct Cancel {
    std::shared_ptr<Attempt> attempt;
    CancelCause cause;
    std::string reason;
  };

  // To the pool. Their places are already spent.
  std::vector<std::shared_ptr<Attempt>> run;
  std::vector<Cancel> cancels;
  // Acknowledged; only to be destroyed without the driver's lock.
  std::vector<std::shared_ptr<Attempt>> released;
  // An operator told this worker to take no more tasks and leave.
  bool drain_requested = false;
  // Another broker waits for places that became free.
  bool places_freed = false;
};

class SessionCore {
 public:
  explicit SessionCore(SessionCoreOptions options);
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;

  // --- Stream ---

  // The first message of a new stream, with the session and the leases held.
  void FillHello(v1::Hello* hello) const;

  // A message of the broker, not changed any more. With kShare the attempts
  // that come of it keep it alive, with kCopy they have their own deliveries.
  // INVALID_ARGUMENT: it breaks the protocol; close the stream (the effects
  // stand nevertheless).
  absl::Status OnResponse(
      const std::shared_ptr<const v1::WorkResponse>& response,
      DeliveryStorage storage, absl::Duration now, SessionEffects* effects);

  // The stream is over; `status` as FromGrpcStatus gives it. The session lives
  // on, unless the status says that it does not.
  void OnStreamClosed(const absl::Status& status, SessionEffects* effects);

  // --- Pool ---

  void OnFinished(absl::Span<const std::shared_ptr<Attempt>> attempts,
                  SessionEffects* effects);
  // The attempt has progress or charges to take.
  void OnProgress(const Attempt& attempt, absl::Duration now);
  // The attempt has chunks to take.
  void OnChunks(const Attempt& attempt);

  // --- Reports ---

  // Fills `report` with everything that there is to say, up to
  // kReportBytesMax. False: nothing. The outcomes in it are lent: it must go
  // through OnReportWritten, whether the write succeeded or not, before it is
  // used again or destroyed. One report at a time.
  bool NextReport(absl::Duration now, v1::WorkerReport* report);
  void OnReportWritten(v1::WorkerReport* report);

  // --- Time ---

  // When OnTimer is wanted; infinite if not at all.
  absl::Duration NextTimer() const;
  void OnTimer(absl::Duration now, SessionEffects* effects);

  // --- Leaving ---

  // Takes no more tasks. For good.
  void Drain(SessionEffects* effects);
  // Cancels everything that runs, with CancelCause::kDraining.
  void CancelAll(std::string_view reason, SessionEffects* effects);
  // Hands back everything that still runs: an ExecutionReturned for each. What
  // the pool finishes of it later is dropped.
  void ReturnAll(std::string_view reason);

  // --- Questions ---

  // True between Welcome and OnStreamClosed.
  bool open() const { return open_; }
  // Leases that this session is responsible for: running, and finished without
  // acknowledgement.
  size_t held() const { return entries_.size(); }
  size_t running() const { return running_; }
  uint32_t credit() const { return credit_; }
  const std::string& session_id() const { return session_id_; }

 private:
  struct Entry {
    std::shared_ptr<Attempt> attempt;
    // Of the task; infinite once the attempt was told.
    absl::Duration soft_time_limit = absl::InfiniteDuration();
    // In deadlines_, if not infinite.
    absl::Duration deadline = absl::InfiniteDuration();
    bool finished = false;
    // A refused result was replaced by a failure: it is not replaced again.
    bool replaced = false;
  };
  using Entries = absl::flat_hash_map<uint64_t, Entry>;

  absl::Status OnWelcome(const v1::Welcome& welcome, absl::Duration now,
                         SessionEffects* effects);
  absl::Status OnDelivery(const v1::Delivery& delivery,
                          const std::shared_ptr<const v1::WorkResponse>& shared,
                          absl::Duration now, SessionEffects* effects);
  void OnRefused(const v1::RefusedReport& refused, SessionEffects* effects);
  void OnCancelExecution(const v1::CancelExecution& cancel,
                         SessionEffects* effects);
  void OnControl(const v1::ControlCommand& control, SessionEffects* effects);

  // The lease is not ours: stops the attempt if it runs, forgets it.
  void Lose(Entries::iterator entry, std::string_view reason,
            SessionEffects* effects);
  void LoseAll(std::string_view reason, SessionEffects* effects);
  void ForgetDeadline(Entry* entry);
  // Puts an outcome that did not come from the pool in the entry's place.
  void FinishInstead(Entry* entry, std::shared_ptr<Attempt> stand_in);
  void GiveBackCredit(SessionEffects* effects);
  std::vector<uint64_t> SortedEpochs() const;

  size_t AddStarted(v1::WorkerReport* report);
  size_t AddProgress(size_t bytes, v1::WorkerReport* report);
  void AddOneProgress(Attempt* attempt, size_t* bytes,
                      v1::WorkerReport* report);
  size_t AddChunks(size_t bytes, v1::WorkerReport* report);
  void AddOutcomes(size_t bytes, v1::WorkerReport* report);
  uint32_t GrantCredit();

  const SessionCoreOptions options_;
  // Most leases to be responsible for at a time.
  const uint64_t held_max_;

  std::string session_id_;
  bool open_ = false;
  bool draining_ = false;
  bool draining_told_ = false;  // on this stream
  uint32_t max_credit_ = 0;
  uint32_t credit_ = 0;
  absl::Duration heartbeat_interval_;
  absl::Duration heartbeat_due_ = absl::InfiniteDuration();

  Entries entries_;
  size_t running_ = 0;  // entries that are not finished
  // Finished and not yet said on this stream, oldest first. May name epochs
  // that are gone.
  std::deque<uint64_t> unsent_;
  // In the report that is being written; keeps lent outcomes alive.
  std::vector<std::shared_ptr<Attempt>> lent_;

  // Running attempts whose start was not said on this stream, and those with
  // progress. May name epochs that are finished or gone.
  std::vector<uint64_t> start_unsaid_;
  std::vector<uint64_t> progress_unsaid_;
  absl::Duration collect_at_ = absl::InfiniteDuration();
  // The same, collected by OnTimer for the next report.
  std::deque<uint64_t> start_ready_;
  std::deque<uint64_t> progress_ready_;
  // Attempts with chunks to send. May name epochs that are gone, and some
  // twice.
  std::deque<uint64_t> chunks_ready_;
  // Soft time limits of started attempts.
  absl::btree_set<std::pair<absl::Duration, uint64_t>> deadlines_;

  std::vector<v1::ControlReply> control_replies_;
};

}  // namespace apium

#endif  // APIUM_WORKER_SESSION_CORE_H_
