#include "results/result_server.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/server_service.pb.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/http/admin_server.h"
#include "common/log.h"
#include "common/metrics/grpc_server_metrics.h"
#include "common/metrics/process_collector.h"
#include "common/names.h"
#include "common/rpc/callback_queue_keepalive.h"
#include "common/rpc/proto_time.h"
#include "common/rpc/self_probe.h"
#include "common/rpc/server.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/uuid.h"
#include "common/version.h"
#include "results/mailbox.h"
#include "results/result_core.h"
#include "results/result_loop.h"
#include "results/result_metrics.h"
#include "results/row_format.h"
#include "results/service/call_table.h"
#include "results/service/request_check.h"
#include "results/service/result_service.h"
#include "results/service/server_info_service.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/store_identity.h"

namespace apium::results {
namespace {

absl::Status CheckConfig(const ResultServerConfig& config) {
  if (config.namespaces.empty()) {
    return absl::InvalidArgumentError("at least one namespace is needed");
  }
  for (const std::string& name : config.namespaces) {
    APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", name));
  }
  if (config.result_ttl < absl::Seconds(1) ||
      config.result_ttl > kResultTtlMax) {
    return absl::InvalidArgumentError(StrCat(
        "the TTL of results is ", absl::FormatDuration(config.result_ttl),
        "; it has to be in [1s, ", absl::FormatDuration(kResultTtlMax), "]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(ResultServerConfig* config,
                                                 const Clock* clock,
                                                 ResultMetrics* metrics) {
  if (config->store != nullptr) {
    return std::move(config->store);
  }
  if (config->data_dir.empty()) {
    return std::make_unique<MemoryStore>();
  }
  RocksDbOptions options;
  options.path = config->data_dir;
  // Twice the default size: outcomes stay until they expire, so each memtable
  // that is not made saves rewriting the files below it.
  options.memtable_bytes = 64 << 20;
  options.max_memtables = 3;
  options.should_drop = [clock, metrics](std::string_view key,
                                         std::string_view value) {
    const bool expired =
        IsExpiredRow(key, value, absl::ToUnixMillis(clock->Now()));
    if (expired && IsOutcomeKey(key)) {
      metrics->CountExpired();
    }
    return expired;
  };
  // Expired rows take space for up to this long.
  options.drop_within =
      std::clamp(config->result_ttl / 2, absl::Seconds(1), absl::Hours(12));
  APIUM_ASSIGN_OR_RETURN(std::unique_ptr<RocksDbStore> store,
                         RocksDbStore::Open(options));
  return std::unique_ptr<Store>(std::move(store));
}

v1::ServerInfo MakeServerInfo(const ResultServerConfig& config,
                              const std::string& store_id, absl::Time now) {
  v1::ServerInfo info;
  info.set_service(std::string(kResultStoreName));
  info.set_version(std::string(kVersion));
  for (const char* capability :
       {"result.forget", "result.list", "result.publish", "result.wait",
        "result.watch"}) {
    info.add_capabilities(capability);
  }
  TimeToProto(now, info.mutable_start_time());
  for (const std::string& name : config.namespaces) {
    info.add_namespaces(name);
  }
  info.mutable_limits()->set_max_message_bytes(config.max_message_bytes);
  info.mutable_limits()->set_max_page_size(kPageSizeMax);
  info.set_shard_id(store_id);
  return info;
}

}  // namespace

// Members are destroyed bottom up: what is used stands above its user.
class ResultServer::Impl {
 public:
  explicit Impl(ResultServerConfig config)
      : config_(std::move(config)),
        clock_(config_.clock != nullptr ? config_.clock : SystemClock::Get()),
        metrics_(std::make_shared<ResultMetrics>()),
        grpc_metrics_(std::make_shared<GrpcServerMetrics>()),
        mailbox_(MailboxOptions()),
        check_(absl::flat_hash_set<std::string>(config_.namespaces.begin(),
                                                config_.namespaces.end())),
        service_(&check_, PublishWindow(), &table_, &mailbox_) {}

  ~Impl() { Shutdown(absl::ZeroDuration()); }

  absl::Status Start();
  void Shutdown(absl::Duration grace);
  absl::Status failure() const {
    absl::MutexLock lock(&mu_);
    return failure_;
  }

  absl::Status StartCore();
  absl::Status StartServers();
  // Any thread of the server.
  void Fail(const absl::Status& status);

  ResultServerConfig config_;
  const Clock* const clock_;
  const std::shared_ptr<ResultMetrics> metrics_;
  const std::shared_ptr<GrpcServerMetrics> grpc_metrics_;
  std::unique_ptr<Store> store_;
  std::string store_id_;
  Mailbox mailbox_;
  CallTable table_;
  const RequestCheck check_;
  std::unique_ptr<ResultLoop> loop_;
  GrpcResultService service_;
  std::unique_ptr<ServerInfoService> info_service_;
  std::unique_ptr<RpcServer> rpc_server_;
  std::unique_ptr<CallbackQueueKeepalive> keepalive_;
  std::unique_ptr<SelfProbe> probe_;
  std::unique_ptr<AdminServer> admin_;

  mutable absl::Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
};

absl::Status ResultServer::Impl::Start() {
  APIUM_RETURN_IF_ERROR(CheckConfig(config_));
  APIUM_RETURN_IF_ERROR(StartCore());
  return StartServers();
}

absl::Status ResultServer::Impl::StartCore() {
  APIUM_ASSIGN_OR_RETURN(store_, OpenStore(&config_, clock_, metrics_.get()));
  const StoreApplication application = {.name = std::string(kResultStoreName),
                                        .format_version = kResultFormatVersion};
  APIUM_RETURN_IF_ERROR(CheckOrWriteIdentity(*store_, application));
  ResultCoreOptions options;
  options.result_ttl = config_.result_ttl;
  options.waiters_max = config_.waiters_max;
  options.watches.watchers_max = config_.watchers_max;
  auto core = std::make_unique<ResultCore>(options, store_.get());
  StoreBatch writes;
  APIUM_RETURN_IF_ERROR(core->Recover(NewUuidV7(clock_->Now()), &writes));
  if (!writes.empty()) {
    APIUM_RETURN_IF_ERROR(store_->Write(writes));
    APIUM_RETURN_IF_ERROR(store_->Sync());
  }
  store_id_ = core->store_id();
  ResultLoop::Parts parts;
  parts.mailbox = &mailbox_;
  parts.store = store_.get();
  parts.sink = &table_;
  parts.clock = clock_;
  parts.metrics = metrics_.get();
  parts.on_failure = [this](const absl::Status& status) { Fail(status); };
  loop_ = std::make_unique<ResultLoop>(std::move(core), std::move(parts));
  return absl::OkStatus();
}

absl::Status ResultServer::Impl::StartServers() {
  info_service_ = std::make_unique<ServerInfoService>(
      MakeServerInfo(config_, store_id_, clock_->Now()), clock_);
  RpcServerOptions rpc;
  rpc.listen_address = config_.listen_address;
  rpc.services = {&service_, info_service_.get()};
  rpc.max_message_bytes = config_.max_message_bytes;
  rpc.metrics = grpc_metrics_.get();
  APIUM_ASSIGN_OR_RETURN(rpc_server_, RpcServer::Start(std::move(rpc)));
  keepalive_ = std::make_unique<CallbackQueueKeepalive>();
  if (!config_.http_listen_address.empty()) {
    AdminServerOptions admin;
    admin.listen_address = config_.http_listen_address;
    admin.service = std::string(kResultStoreName);
    admin.collectables = {metrics_, grpc_metrics_,
                          std::make_shared<StoreMetrics>(store_.get()),
                          std::make_shared<ProcessCollector>()};
    admin.liveness = {{"store", [this] { return failure(); }}};
    admin.readiness = {{"serving", [this] {
                          absl::MutexLock lock(&mu_);
                          return ready_ ? failure_
                                        : absl::UnavailableError(
                                              "starting or stopping");
                        }}};
    APIUM_ASSIGN_OR_RETURN(admin_, AdminServer::Start(std::move(admin)));
  }
  if (config_.self_probe) {
    SelfProbeOptions probe;
    probe.target = rpc_server_->local_target();
    probe.on_dead = [this](const absl::Status& status) {
      Fail(absl::UnavailableError(
          StrCat("the listener does not answer any more: ",
                 StdView(status.message()))));
    };
    probe_ = std::make_unique<SelfProbe>(std::move(probe));
  }
  {
    absl::MutexLock lock(&mu_);
    ready_ = true;
  }
  rpc_server_->SetReady(true);
  if (!failure().ok()) {
    rpc_server_->SetReady(false);  // it failed before it was ready
  }
  return absl::OkStatus();
}

void ResultServer::Impl::Fail(const absl::Status& status) {
  bool was_ready = false;
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) {
      return;
    }
    failure_ = status;
    was_ready = std::exchange(ready_, false);
  }
  if (was_ready) {
    rpc_server_->SetReady(false);
  }
  LogError("the result service cannot go on", {{"error", status}});
  table_.EndAll(WithReason(
      absl::UnavailableError("the result service has failed and restarts"),
      reason::kStoreFailed));
  if (config_.on_failure) {
    config_.on_failure(status);
  }
}

void ResultServer::Impl::Shutdown(absl::Duration grace) {
  {
    absl::MutexLock lock(&mu_);
    ready_ = false;
  }
  if (rpc_server_ != nullptr) {
    rpc_server_->SetReady(false);
  }
  probe_.reset();
  const absl::Status stopping =
      WithReason(absl::UnavailableError("the result service is stopping"),
                 reason::kShuttingDown);
  if (loop_ != nullptr) {
    loop_->Stop(stopping);
  }
  table_.EndAll(stopping);
  if (rpc_server_ != nullptr) {
    rpc_server_->Shutdown(grace);
    rpc_server_.reset();
  }
  keepalive_.reset();
  admin_.reset();
  loop_.reset();
}

absl::StatusOr<std::unique_ptr<ResultServer>> ResultServer::Start(
    ResultServerConfig config) {
  auto impl = std::make_unique<Impl>(std::move(config));
  APIUM_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<ResultServer>(new ResultServer(std::move(impl)));
}

ResultServer::ResultServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

ResultServer::~ResultServer() = default;

int ResultServer::port() const { return impl_->rpc_server_->port(); }

int ResultServer::http_port() const {
  return impl_->admin_ == nullptr ? 0 : impl_->admin_->port();
}

const std::string& ResultServer::local_target() const {
  return impl_->rpc_server_->local_target();
}

std::shared_ptr<grpc::Channel> ResultServer::InProcessChannel() {
  return impl_->rpc_server_->InProcessChannel();
}

absl::Status ResultServer::failure() const { return impl_->failure(); }

void ResultServer::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace apium::results
