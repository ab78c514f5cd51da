#ifndef APIUM_BROKER_ENGINE_TASK_LISTER_H_
#define APIUM_BROKER_ENGINE_TASK_LISTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/engine/command.h"
#include "broker/engine/lease_table.h"
#include "broker/engine/live_task.h"
#include "broker/engine/task_table.h"
#include "storage/store.h"

namespace apium::broker {

// Pages through live tasks: leased ones by epoch, then ready ones lane by lane
// in dispatch order, then scheduled ones by time, then blocked ones. The token
// is the place where the next page begins, so no state is kept between pages;
// what changes meanwhile may be missed or seen twice, as everywhere.
class TaskLister {
 public:
  // Borrows all; for one page.
  TaskLister(const StoreReader* reader, TaskTable* tasks,
             const LeaseTable* leases, const ListTasksCommand& command)
      : reader_(*reader), tasks_(*tasks), leases_(*leases), command_(command) {}

  struct Page {
    std::vector<LiveTask*> tasks;
    std::string next_page_token;
  };
  // INVALID_ARGUMENT: the page token is not one that was given out. Other
  // errors are the store's.
  absl::StatusOr<Page> List();

 private:
  bool WantsState(TaskState state) const;
  bool Matches(const LiveTask& task) const;
  // Each adds to the page from `cursor`, and returns true when its section is
  // done, else sets `cursor`.
  absl::StatusOr<bool> ListLeased(std::string* cursor);
  absl::StatusOr<bool> ListRows(char row_kind, TaskState state,
                                std::string* cursor);
  // Adds those of the next keys of a row, up to kTasksAtOnce, that belong on
  // the page, and moves `next` behind what was looked at.
  absl::Status ListSome(std::string_view row, TaskState state,
                        const std::vector<std::string>& keys, size_t* next);

  const StoreReader& reader_;
  TaskTable& tasks_;
  const LeaseTable& leases_;
  const ListTasksCommand& command_;
  Page page_;
  bool page_is_read_ = false;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_LISTER_H_
