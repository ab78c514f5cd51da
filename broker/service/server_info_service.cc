#include "broker/service/server_info_service.h"

#include <utility>

#include "broker/service/engine_call.h"
#include "broker/service/task_from_proto.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/rpc/proto_time.h"
#include "common/version.h"

namespace apium::broker {
namespace {

// What this broker carries out. Sorted.
constexpr const char* kCapabilities[] = {
    "queue.pause",          "queue.purge",   "result.ttl",    "task.cancel",
    "task.chunks",          "task.delay",    "task.expiry",   "task.headers",
    "task.idempotent",      "task.priority", "task.progress", "task.retry",
    "task.soft_time_limit", "task.stream",   "task.wait",     "task.watch",
    "worker.drain",         "worker.resume",
};

}  // namespace

ServerInfoServiceImpl::ServerInfoServiceImpl(
    const ServiceContext& context, std::string shard_id,
    std::vector<std::string> namespaces)
    : context_(context),
      shard_id_(std::move(shard_id)),
      namespaces_(std::move(namespaces)),
      start_time_(context.clock->Now()) {}

grpc::ServerUnaryReactor* ServerInfoServiceImpl::GetServerInfo(
    grpc::CallbackServerContext* rpc, const v1::GetServerInfoRequest* request,
    v1::GetServerInfoResponse* response) {
  const absl::Status valid = NamespaceFromProto(request->namespace_()).status();
  if (!valid.ok()) return FinishNow(rpc, valid);
  v1::ServerInfo* const info = response->mutable_server_info();
  info->set_service("apium-broker");
  info->set_version(kVersion.data(), kVersion.size());
  for (const char* capability : kCapabilities) {
    info->add_capabilities(capability);
  }
  TimeToProto(context_.clock->Now(), info->mutable_server_time());
  TimeToProto(start_time_, info->mutable_start_time());
  for (const std::string& name : namespaces_) info->add_namespaces(name);
  info->set_shard_id(shard_id_);
  v1::ServerLimits* const limits = info->mutable_limits();
  limits->set_max_message_bytes(kGrpcMessageBytesMax);
  limits->set_max_payload_bytes(context_.limits.payload_bytes_max);
  limits->set_max_batch_tasks(static_cast<uint32_t>(kBatchTasksMax));
  limits->set_max_page_size(static_cast<uint32_t>(kPageSizeMax));
  DurationToProto(kEtaAheadMax, limits->mutable_max_delay());
  return FinishNow(rpc, absl::OkStatus());
}

}  // namespace apium::broker
