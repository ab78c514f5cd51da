#include "broker/dispatch/push_to_proto.h"

#include <utility>
#include <variant>

#include "apium/v1/worker_service.pb.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/check.h"
#include "common/rpc/proto_time.h"

namespace apium::broker {
namespace {

// What an entry takes besides its texts.
constexpr size_t kEntryBytes = 32;

size_t Add(const Delivery& delivery, v1::BrokerPush* proto) {
  v1::Delivery* const added = proto->add_deliveries();
  v1::Lease* const lease = added->mutable_lease();
  lease->set_task_id(delivery.content->task_id);
  lease->set_attempt(delivery.attempt);
  lease->set_epoch(delivery.epoch);
  DeliveredSpecToProto(*delivery.content, added->mutable_spec());
  TimeToProto(delivery.content->create_time, added->mutable_create_time());
  added->set_failures(delivery.failures);
  added->set_crashes(delivery.crashes);
  added->set_chunks(delivery.chunks);
  if (delivery.details == nullptr)
    return kEntryBytes + ContentBytes(*delivery.content);
  PayloadToProto(*delivery.details, View::kFull, added->mutable_details());
  return kEntryBytes + ContentBytes(*delivery.content) +
         delivery.details->data.size();
}

size_t Add(const OutcomeAcknowledged& acknowledged, v1::BrokerPush* proto) {
  proto->add_acknowledged_epochs(acknowledged.epoch);
  return kEntryBytes;
}

size_t Add(const ReportRefused& refused, v1::BrokerPush* proto) {
  v1::RefusedReport* const added = proto->add_refused();
  added->set_epoch(refused.epoch);
  ItemErrorToProto(refused.status, added->mutable_error());
  return kEntryBytes + refused.status.message().size();
}

size_t Add(CancelDelivery& cancel, v1::BrokerPush* proto) {
  v1::CancelExecution* const added = proto->add_cancels();
  v1::Lease* const lease = added->mutable_lease();
  lease->set_task_id(std::move(cancel.lease.task_id));
  lease->set_attempt(cancel.lease.attempt);
  lease->set_epoch(cancel.lease.epoch);
  added->set_reason(std::move(cancel.reason));
  return 2 * kEntryBytes + added->reason().size();
}

size_t Add(const DrainSession& drain, v1::BrokerPush* proto) {
  v1::ControlCommand* const added = proto->add_controls();
  added->set_control_id(drain.control_id);
  added->mutable_drain();
  return kEntryBytes;
}

size_t Add(const ChunksAcknowledged& chunks, v1::BrokerPush* proto) {
  v1::ChunkAcknowledgement* const added = proto->add_chunk_acknowledgements();
  added->set_epoch(chunks.epoch);
  added->set_number(chunks.number);
  if (chunks.status.ok()) return kEntryBytes;
  ItemErrorToProto(chunks.status, added->mutable_error());
  return kEntryBytes + chunks.status.message().size();
}

size_t Add(const SessionOpened&, v1::BrokerPush*) {
  APIUM_CHECK(false) << "SessionOpened is a message of its own";
  return 0;
}

size_t Add(const SessionClosed&, v1::BrokerPush*) {
  APIUM_CHECK(false) << "SessionClosed is the end of the stream";
  return 0;
}

}  // namespace

size_t AddPush(WorkerPush&& push, v1::BrokerPush* proto) {
  return std::visit([proto](auto& body) { return Add(body, proto); },
                    push.body);
}

}  // namespace apium::broker
