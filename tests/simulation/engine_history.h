#ifndef APIUM_TESTS_SIMULATION_ENGINE_HISTORY_H_
#define APIUM_TESTS_SIMULATION_ENGINE_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "tests/support/engine_driver.h"
#include "tests/support/reference_model.h"

namespace apium::broker {

struct HistoryOptions {
  // The disk says that it has synced, and has not: a crash loses what was
  // acknowledged.
  bool disk_lies = false;
  // The engine does not look at epochs: reports that name a forged one are
  // carried out.
  bool epochs_are_not_checked = false;
  // Notes every turn for people.
  bool keep_log = false;
  int steps = 180;
};

// One random life of an engine, chosen by a seed alone: clients that repeat
// themselves, workers that fail, lie and vanish, operators, time, restarts, and
// power cuts that take back what was not released. A ReferenceModel looks at
// every turn. At the end, all is run to completion: no accepted task may be
// left without an outcome.
class EngineHistory {
 public:
  EngineHistory(uint64_t seed, const HistoryOptions& options);
  ~EngineHistory();
  EngineHistory(const EngineHistory&) = delete;
  EngineHistory& operator=(const EngineHistory&) = delete;

  // Runs until the end or the first violation. What was violated; empty:
  // nothing.
  std::string Run();

  // Hash of all effects, writes included.
  uint64_t effects_hash() const { return effects_hash_; }
  const std::string& log() const { return log_; }
  // For a test of the test: that the history does what it is meant to do.
  struct Counts {
    size_t turns = 0;
    size_t tasks = 0;
    size_t callbacks = 0;  // of batches
    size_t deliveries = 0;
    size_t outcomes = 0;
    size_t crashes = 0;
    size_t restarts = 0;
    size_t lost_turns = 0;
    size_t refusals = 0;
    size_t redelivered_after_crash = 0;
    size_t unpublished = 0;
    std::map<std::string, size_t> failures;  // outcomes by type
    size_t lies = 0;  // by the disk or the worker, see HistoryOptions
  };
  const Counts& counts() const { return counts_; }
  const ReferenceModel::Counts& model_counts() const { return model_.counts(); }

 private:
  class Calls;
  class Stream;
  struct Worker;

  static EngineOptions RandomOptions(uint64_t seed);
  // Uniform in [0, n).
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Chance(int percent) {
    return Below(100) < static_cast<uint64_t>(percent);
  }

  // What may happen next.
  void Step();
  void AddSubmit();
  // Sometimes: a unique key.
  void AddUnique(SubmitCommand* submit);
  // Sometimes: an id of the request. Some fingerprints come again.
  std::shared_ptr<const RequestIdentity> RandomRequest(uint64_t kind,
                                                       uint64_t fingerprint);
  SubmitCommand RandomSubmit();  // without an address
  void AddRead();
  void AddControl();
  TaskFilter RandomFilter();
  void AddQueueCommand();
  void AddWorkerCommand();
  // engine_history_dead_letters.cc
  void AddDeadLetterCommand();
  void AddRedriveOfOne(const std::string& queue);
  void AddRedriveOfMany(const std::string& queue);
  std::string RandomLetterId(const std::string& queue);
  DeadLetterFilter RandomLetterFilter();
  void AuditDeadLetters();
  void PurgeDeadLetters();
  // engine_history_breakers.cc
  void AddBreakerCommand();
  // engine_history_ordering.cc
  // Sometimes: an ordering key.
  void AddOrdering(TaskContent* content);
  void AddRelease();
  // Of all keys that are blocked.
  void ReleaseAll();
  // engine_history_routing.cc
  // Sometimes: an exchange, or none and no queue either.
  void AddRoute(SubmitCommand* submit);
  void AddRoutingCommand();
  std::string RandomExchange();
  std::string RandomRoutingKey();
  Binding RandomBinding();
  void AuditRouting();
  // engine_history_placement.cc
  // Sometimes: tenant, limit keys, labels.
  void AddPlacement(TaskContent* content);
  Placement::Labels RandomLabels();
  void AddLimitCommand();
  // Sometimes: points that a running task takes.
  void AddCharges(const LeaseName& lease, WorkerReportCommand* report);
  void DeleteLimits();
  // engine_history_batches.cc
  void AddBatchCommand();
  void AddSubmitAll();
  std::string RandomBatchId();
  BatchCallback RandomCallback(int percent);
  void AuditBatches();
  void CloseBatches();
  void CheckBatchesAreComplete();
  void AddReport(Worker* worker);
  void AddForgedReport(Worker* worker);
  // engine_history_chunks.cc
  void AddStream(const LeaseName& lease, uint64_t acknowledged,
                 WorkerReportCommand* report);
  void AddFollow();
  void OutliveChunks();
  void Connect(Worker* worker);
  void Disconnect(Worker* worker);
  void PassTime();
  void Disturb();

  void Add(Command command);
  // A command that reaches the engine in another form than the model.
  void Add(Command for_engine, Command for_model);
  ReplyAddress NewCall();
  // A sink of its own, for a call that may be given up.
  std::shared_ptr<ReplySink> NewSink();
  std::string RandomTaskId();
  std::string RandomQueue();
  std::string RandomType();
  ExecutionReport RandomOutcome(Worker* worker, const LeaseName& lease);

  void RunTurn();  // with what was added
  void Settle();
  void Release();
  void AfterRecovery();
  void Crash();
  void Restart();
  // Reads everything and compares it with the model.
  void Audit();
  void ListAllTasks();
  // Time goes on, and a willing worker runs everything, until all is finished.
  void RunToCompletion();
  void CheckNothingIsLeftOnDisk();
  bool failed() const {
    return !error_.empty() || !model_.violations().empty();
  }
  void Log(const std::string& text);

  const uint64_t seed_;
  const HistoryOptions options_;
  std::mt19937_64 random_;
  const uint64_t submit_percent_;
  const uint64_t unique_percent_;
  const uint64_t placement_percent_;
  const uint64_t ordering_percent_;
  const uint64_t routing_percent_;
  EngineDriver driver_;
  ReferenceModel model_;
  // While turns are held: the model as released, and after each held turn.
  std::vector<ReferenceModel> snapshots_;
  bool holding_ = false;
  std::vector<Command> engine_commands_;
  std::vector<Command> model_commands_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<Calls> calls_;
  std::vector<std::shared_ptr<ReplySink>> waits_;  // each a sink of its own
  uint64_t last_tag_ = 0;
  std::vector<std::string> minted_ids_;
  std::vector<SubmitAllCommand> sent_;  // atomic submits
  std::vector<absl::Time> moments_;     // ETAs and expiries
  std::set<uint64_t> believed_epochs_;  // see epochs_are_not_checked
  std::string error_;
  uint64_t effects_hash_ = 1469598103934665603u;
  Counts counts_;
  std::string log_;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_SIMULATION_ENGINE_HISTORY_H_
