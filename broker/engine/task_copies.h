#ifndef APIUM_BROKER_ENGINE_TASK_COPIES_H_
#define APIUM_BROKER_ENGINE_TASK_COPIES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/engine/placement.h"

// The several tasks that routing makes of one submit. The first has the id of
// the submit. Those of a broadcast are pinned, each to its worker: they require
// a label that every worker has without saying so.
namespace apium::broker {

// "<task_id>.<number>", for numbers from 2.
std::string CopyTaskId(std::string_view task_id, size_t number);
// Of all `copies` further tasks.
std::vector<std::string> CopyTaskIds(std::string_view task_id, uint32_t copies);

// `placement`, which may be null, with this worker required.
std::shared_ptr<const Placement> PinnedTo(const Placement* placement,
                                          const std::string& worker_id);
// `placement`, which may be null, without a worker that is required.
std::shared_ptr<const Placement> Unpinned(
    const std::shared_ptr<const Placement>& placement);
// The worker that is required; empty: none.
std::string_view PinnedWorker(const Placement* placement);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_TASK_COPIES_H_
