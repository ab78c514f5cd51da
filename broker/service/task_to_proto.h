#ifndef APIUM_BROKER_SERVICE_TASK_TO_PROTO_H_
#define APIUM_BROKER_SERVICE_TASK_TO_PROTO_H_

#include "absl/status/status.h"
#include "broker/engine/effects.h"
#include "broker/engine/task.h"

namespace apium::v1 {
class ItemError;
class Payload;
class Queue;
class Task;
class TaskChunk;
class TaskOutcome;
class TaskSpec;
class Worker;
}  // namespace apium::v1

namespace apium::broker {

// How much of a task an answer carries.
enum class View {
  kBasic,  // without payload, headers and result data
  kFull,
};

// The engine's structs as messages of apium.v1, into cleared messages. Any
// thread.
void PayloadToProto(const Payload& payload, View view, v1::Payload* proto);
void SpecToProto(const TaskContent& content, View view, v1::TaskSpec* spec);
// As a worker gets it: without a retry policy that is the default.
void DeliveredSpecToProto(const TaskContent& content, v1::TaskSpec* spec);
void OutcomeToProto(const Outcome& outcome, View view, v1::TaskOutcome* proto);
void SnapshotToProto(const TaskSnapshot& snapshot, View view, v1::Task* proto);
void QueueToProto(const QueueInfo& queue, v1::Queue* proto);
void WorkerToProto(const WorkerInfo& worker, v1::Worker* proto);
// Takes the strings out of `chunk`.
void ChunkToProto(TaskChunk&& chunk, v1::TaskChunk* proto);

// A finished task as its outcome, from the result service, tells of it. Takes
// the strings out of `outcome`.
void FinishedTaskToProto(v1::TaskOutcome&& outcome, View view, v1::Task* proto);

// `status` is not OK.
void ItemErrorToProto(const absl::Status& status, v1::ItemError* proto);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_TASK_TO_PROTO_H_
