#ifndef APIUM_BROKER_ENGINE_CANCEL_JOB_H_
#define APIUM_BROKER_ENGINE_CANCEL_JOB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/engine/command.h"
#include "storage/store.h"

namespace apium::broker {

// The cancel of all waiting tasks that match a filter, which takes many turns:
// a walk over the ready rows, the timers, and the blocked rows, that passes
// each place once. A task that leaves its place before the walk has come there
// must be judged when it leaves (see HasYetToMeet). What became ready or
// scheduled with a ticket from `ticket_limit` on is newer than the job, or was
// judged on its way. In memory only: whoever asked asks again.
class CancelJob {
 public:
  // `queue_id`: of filter.queue; none: all queues.
  CancelJob(CancelTasksCommand command, uint64_t ticket_limit,
            std::optional<uint32_t> queue_id);

  const TaskFilter& filter() const { return *command_.filter; }
  const CancelTasksCommand& command() const { return command_; }
  uint64_t ticket_limit() const { return ticket_limit_; }

  // Whether the walk has still to come to this row.
  bool HasYetToMeet(std::string_view row_key) const;

  // A task that a row lists.
  struct Place {
    std::string task_key;
    TaskState state = TaskState::kQueued;  // that it has if it is there
    uint64_t sequence = 0;                 // kQueued: of the ready row
  };
  // Goes on by about `rows_max` rows: their tasks, which may be void. Call
  // until done().
  absl::StatusOr<std::vector<Place>> Walk(const StoreReader& reader,
                                          size_t rows_max);
  bool done() const;

  // Workers as keys of tasks, with the worker's id in place of the task's. Set:
  // the job ends, instead of what matches, tasks that are pinned to others, and
  // answers nobody.
  using Workers = absl::flat_hash_set<std::string>;
  std::shared_ptr<const Workers> present_workers;

  // What was done, for the answer.
  uint64_t cancelled = 0;
  uint64_t requested = 0;

 private:
  absl::Status ReadRow(std::string_view key, std::string_view value,
                       std::vector<Place>* places);
  void StartNextSection();

  const CancelTasksCommand command_;
  const uint64_t ticket_limit_;
  const std::optional<uint32_t> queue_id_;
  std::string cursor_;  // first row that was not looked at
  std::string end_;     // of the section
  size_t section_ = static_cast<size_t>(-1);  // in front of the first
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_CANCEL_JOB_H_
