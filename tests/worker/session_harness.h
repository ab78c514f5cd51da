// Drives a SessionCore by hand: what goes in is written as calls, what comes
// out as text.

#ifndef APIUM_TESTS_WORKER_SESSION_HARNESS_H_
#define APIUM_TESTS_WORKER_SESSION_HARNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "worker/session_core.h"

namespace apium {

class SessionHarness final : public AttemptOwner {
 public:
  explicit SessionHarness(uint32_t capacity, size_t brokers = 1);
  ~SessionHarness() override;

  // --- Broker ---
  absl::Status Welcome(
      const std::string& session_id, bool resumed = false,
      const std::vector<uint64_t>& lost = {},
      const std::function<void(v1::Welcome*)>& change = nullptr);
  absl::Status Respond(std::shared_ptr<const v1::WorkResponse> response);
  absl::Status Push(const std::function<void(v1::BrokerPush*)>& fill);
  absl::Status Deliver(const std::vector<uint64_t>& epochs,
                       absl::Duration soft_time_limit = absl::ZeroDuration());
  absl::Status Acknowledge(const std::vector<uint64_t>& epochs);
  absl::Status AcknowledgeChunks(uint64_t epoch, uint64_t number,
                                 const std::string& refusal = "");
  absl::Status Refuse(uint64_t epoch, absl::StatusCode code);
  absl::Status Cancel(uint64_t epoch, const std::string& reason);
  void CloseStream(const absl::Status& status);
  // Epochs in the Hello of the next stream: "3,5 session=s1".
  std::string Hello() const;

  // --- Pool ---
  // The handler of the attempt begins.
  void Start(uint64_t epoch);
  void SetProgress(uint64_t epoch, double completed);
  void SetDetails(uint64_t epoch, const std::string& details);
  absl::Status Charge(uint64_t epoch, const std::string& limit, double points);
  absl::Status Append(uint64_t epoch, const std::string& data,
                      absl::Duration timeout = absl::ZeroDuration());
  // It ends with a result of `bytes` bytes.
  void Finish(uint64_t epoch, size_t bytes = 2);
  void FinishTogether(const std::vector<uint64_t>& epochs, size_t bytes = 2);

  // --- Time ---
  void Advance(absl::Duration step);

  // The next report, as text: "credit=2 started=1 outcomes=3,4"; "" if there is
  // none. It counts as written.
  std::string Report();
  // The same in two steps.
  bool BeginReport();
  void ReportWritten();
  const v1::WorkerReport& report() const { return report_; }
  static std::string Describe(const v1::WorkerReport& report);

  // What the core asked for since the last call: "run 1,2; cancel 3 (lost)".
  std::string Effects();

  SessionCore& core() { return core_; }
  SlotLedger& ledger() { return ledger_; }
  absl::Duration now() const { return now_; }
  // Attempts that are in the pool.
  const std::map<uint64_t, std::shared_ptr<Attempt>>& pool() const {
    return pool_;
  }
  SessionEffects* effects() { return &effects_; }
  // Takes the effects up: what is to run is in the pool then.
  void CarryOut();

  // AttemptOwner; the harness calls the core itself.
  void OnFinished(absl::Span<const std::shared_ptr<Attempt>>) override {}
  void OnProgress(const Attempt& attempt) override;
  void OnChunks(const Attempt& attempt) override { core_.OnChunks(attempt); }
  std::shared_ptr<ChunkWindow> chunk_window() override { return window_; }

 private:
  SlotLedger ledger_;
  const std::shared_ptr<ChunkWindow> window_ = std::make_shared<ChunkWindow>();
  SessionCore core_;
  absl::Duration now_ = absl::Seconds(1000);
  SessionEffects effects_;
  DeliveryStorage storage_ = DeliveryStorage::kCopy;
  std::map<uint64_t, std::shared_ptr<Attempt>> pool_;
  std::vector<std::string> happened_;
  v1::WorkerReport report_;
};

}  // namespace apium

#endif  // APIUM_TESTS_WORKER_SESSION_HARNESS_H_
