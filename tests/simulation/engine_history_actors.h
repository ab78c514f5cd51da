#ifndef APIUM_TESTS_SIMULATION_ENGINE_HISTORY_ACTORS_H_
#define APIUM_TESTS_SIMULATION_ENGINE_HISTORY_ACTORS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/simulation/engine_history.h"

// Who is told what the engine says in a history: callers and workers.
namespace apium::broker {

// Whoever called. Pages of lists are kept for ListAllTasks.
class EngineHistory::Calls final : public ReplySink {
 public:
  explicit Calls(EngineHistory* history) : history_(history) {}

  void Take(uint64_t /*tag*/, Reply&& reply) override {
    if (auto* page = std::get_if<TaskPageReply>(&reply.body)) {
      last_page = std::move(*page);
    } else if (auto* submit = std::get_if<SubmitReply>(&reply.body)) {
      if (submit->minted) history_->minted_ids_.push_back(submit->task_id);
    } else if (const auto* all = std::get_if<SubmitAllReply>(&reply.body)) {
      for (const SubmitReply& answer : all->tasks) {
        if (answer.minted) history_->minted_ids_.push_back(answer.task_id);
      }
    }
  }

  TaskPageReply last_page;

 private:
  EngineHistory* const history_;
};

struct EngineHistory::Worker {
  std::string name;
  std::shared_ptr<Stream> stream;  // null: not connected
  std::string session_id;
  std::map<uint64_t, LeaseName> held;  // by epoch
  std::vector<LeaseName> past;         // every lease it ever had
  std::vector<LeaseName> to_cancel;
  std::map<uint64_t, uint64_t> appended;  // by epoch: acknowledged chunks
};

class EngineHistory::Stream final : public WorkerSink {
 public:
  Stream(EngineHistory* history, Worker* worker)
      : history_(history), worker_(worker) {}

  void Take(WorkerPush&& push) override {
    if (worker_->stream.get() != this) return;  // broken: it never arrives
    if (const auto* delivery = std::get_if<Delivery>(&push.body)) {
      const LeaseName lease = {.task_id = delivery->content->task_id,
                               .attempt = delivery->attempt,
                               .epoch = delivery->epoch};
      worker_->held[lease.epoch] = lease;
      worker_->past.push_back(lease);
    } else if (const auto* ack = std::get_if<OutcomeAcknowledged>(&push.body)) {
      worker_->held.erase(ack->epoch);
    } else if (const auto* refused = std::get_if<ReportRefused>(&push.body)) {
      worker_->held.erase(refused->epoch);
      ++history_->counts_.refusals;
    } else if (const auto* opened = std::get_if<SessionOpened>(&push.body)) {
      worker_->session_id = opened->session_id;
      for (const uint64_t epoch : opened->lost_epochs) {
        worker_->held.erase(epoch);
      }
    } else if (const auto* cancel = std::get_if<CancelDelivery>(&push.body)) {
      worker_->to_cancel.push_back(cancel->lease);
    } else if (const auto* chunks =
                   std::get_if<ChunksAcknowledged>(&push.body)) {
      if (chunks->status.ok())
        worker_->appended[chunks->epoch] = chunks->number;
    } else if (std::holds_alternative<SessionClosed>(push.body)) {
      worker_->stream = nullptr;
    }
  }

 private:
  EngineHistory* const history_;
  Worker* const worker_;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_SIMULATION_ENGINE_HISTORY_ACTORS_H_
