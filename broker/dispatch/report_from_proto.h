#ifndef APIUM_BROKER_DISPATCH_REPORT_FROM_PROTO_H_
#define APIUM_BROKER_DISPATCH_REPORT_FROM_PROTO_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "broker/engine/command.h"
#include "broker/engine/sinks.h"
#include "broker/service/task_from_proto.h"
#include "broker/shard/mailbox.h"

namespace apium::v1 {
class Hello;
class WorkerReport;
}  // namespace apium::v1

namespace apium::broker {

// Checks every field of a worker's first message and fills `command` but for
// its sink. Takes the strings out of `hello`. INVALID_ARGUMENT names the field,
// its value and what would be right.
absl::Status OpenSessionFromProto(uint32_t max_credit, v1::Hello* hello,
                                  OpenSessionCommand* command);

// Checks every field of a worker's report and adds it to `commands`, in pieces
// of bounded size. Takes the strings out of `report`. Texts that are too long
// are cut, because an outcome must get through. INVALID_ARGUMENT: the report
// breaks the protocol; `commands` are then of no use.
//
// A result above the payload limit becomes a failure "apium.ResultTooLarge"
// that is not retried, and its epoch is added to `oversized_epochs`.
absl::Status ReportFromProto(const TaskLimits& limits, uint32_t max_credit,
                             const std::shared_ptr<WorkerSink>& sink,
                             v1::WorkerReport* report,
                             std::vector<QueuedCommand>* commands,
                             std::vector<uint64_t>* oversized_epochs);

}  // namespace apium::broker

#endif  // APIUM_BROKER_DISPATCH_REPORT_FROM_PROTO_H_
