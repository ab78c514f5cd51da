#include "broker/broker_server.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "broker/dispatch/worker_service.h"
#include "broker/engine/engine.h"
#include "broker/metrics/broker_collector.h"
#include "broker/outbox/result_forwarder.h"
#include "broker/service/batch_service.h"
#include "broker/service/dead_letter_service.h"
#include "broker/service/limit_service.h"
#include "broker/service/open_calls.h"
#include "broker/service/queue_service.h"
#include "broker/service/result_reader.h"
#include "broker/service/routing_service.h"
#include "broker/service/server_info_service.h"
#include "broker/service/task_service.h"
#include "broker/service/task_type_service.h"
#include "broker/shard/commit_metrics.h"
#include "broker/shard/disk_guard.h"
#include "broker/shard/shard.h"
#include "common/clock.h"
#include "common/error_reason.h"
#include "common/http/admin_server.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/metrics/grpc_server_metrics.h"
#include "common/metrics/process_collector.h"
#include "common/names.h"
#include "common/rpc/callback_queue_keepalive.h"
#include "common/rpc/self_probe.h"
#include "common/rpc/server.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "storage/disk_space.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/store_identity.h"

namespace apium::broker {
namespace {

constexpr std::string_view kStoreName = "apium-broker";
constexpr uint32_t kStoreFormatVersion = 2;

// After a failure nobody is answered any more.
constexpr absl::Duration kGraceAfterFailure = absl::Milliseconds(100);

absl::Status CheckConfig(const BrokerConfig& config) {
  if (config.engine.namespaces.empty()) {
    return absl::InvalidArgumentError("at least one namespace is needed");
  }
  for (const std::string& name : config.engine.namespaces) {
    APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", name));
  }
  const auto in_range = [](const char* what, absl::Duration value,
                           absl::Duration min, absl::Duration max) {
    if (value >= min && value <= max) return absl::OkStatus();
    return absl::InvalidArgumentError(StrCat(
        what, " is ", absl::FormatDuration(value), "; it has to be in [",
        absl::FormatDuration(min), ", ", absl::FormatDuration(max), "]"));
  };
  APIUM_RETURN_IF_ERROR(in_range("the lease duration",
                                 config.engine.lease_duration, kLeaseMin,
                                 kLeaseMax));
  APIUM_RETURN_IF_ERROR(in_range("the reattach grace",
                                 config.engine.reattach_grace,
                                 absl::ZeroDuration(), kLeaseMax));
  if (config.task_limits.payload_bytes_max == 0 ||
      config.task_limits.payload_bytes_max > kPayloadBytesHardMax) {
    return absl::InvalidArgumentError(
        StrCat("the payload limit is ", config.task_limits.payload_bytes_max,
               " bytes; it has to be in [1, ", kPayloadBytesHardMax, "]"));
  }
  return absl::OkStatus();
}

// Null: there is no result service.
std::shared_ptr<grpc::Channel> ConnectToResults(const BrokerConfig& config) {
  if (config.results_channel != nullptr) return config.results_channel;
  if (config.results_address.empty()) return nullptr;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // gRPC would otherwise wait up to two minutes before it dials a result
  // service again that was away.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kKeepalivePing)));
  arguments.SetInt(
      GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout)));
  return grpc::CreateCustomChannel(
      config.results_address, grpc::InsecureChannelCredentials(), arguments);
}

uint64_t RandomSeed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

// Members are destroyed bottom up: what is used stands above its user.
class BrokerServer::Impl {
 public:
  explicit Impl(BrokerConfig config)
      : config_(std::move(config)),
        clock_(config_.clock != nullptr ? config_.clock : SystemClock::Get()),
        commit_metrics_(std::make_shared<CommitMetrics>()),
        grpc_metrics_(std::make_shared<GrpcServerMetrics>()),
        mailbox_(config_.mailbox) {}

  ~Impl() { Shutdown(absl::ZeroDuration()); }

  absl::Status Start();
  void Shutdown(absl::Duration grace);
  absl::Status failure() const {
    absl::MutexLock lock(&mu_);
    return failure_;
  }

  absl::Status OpenStore();
  absl::Status StartShard();
  absl::Status StartServices();
  absl::Status StartAdmin();
  // Any thread of the server.
  void Fail(const absl::Status& status);

  BrokerConfig config_;
  const Clock* const clock_;
  const std::shared_ptr<CommitMetrics> commit_metrics_;
  const std::shared_ptr<GrpcServerMetrics> grpc_metrics_;
  // Read by the store's compaction until the store is closed.
  std::atomic<uint64_t> confirmed_position_{0};
  std::unique_ptr<Store> store_;
  std::string shard_id_;
  Mailbox mailbox_;
  OpenCalls open_calls_;
  std::unique_ptr<ResultReader> results_;
  std::unique_ptr<ResultForwarder> forwarder_;
  std::unique_ptr<GroupCommit> commit_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<DiskGuard> disk_guard_;
  std::unique_ptr<TaskServiceImpl> task_service_;
  std::unique_ptr<QueueServiceImpl> queue_service_;
  std::unique_ptr<BatchServiceImpl> batch_service_;
  std::unique_ptr<DeadLetterServiceImpl> dead_letter_service_;
  std::unique_ptr<TaskTypeServiceImpl> task_type_service_;
  std::unique_ptr<LimitServiceImpl> limit_service_;
  std::unique_ptr<RoutingServiceImpl> routing_service_;
  std::unique_ptr<WorkerServiceImpl> worker_service_;
  std::unique_ptr<ServerInfoServiceImpl> info_service_;
  std::unique_ptr<RpcServer> rpc_server_;
  std::unique_ptr<CallbackQueueKeepalive> keepalive_;
  std::unique_ptr<SelfProbe> probe_;
  std::unique_ptr<AdminServer> admin_;

  mutable absl::Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
};

absl::Status BrokerServer::Impl::Start() {
  APIUM_RETURN_IF_ERROR(CheckConfig(config_));
  config_.engine.random_seed = config_.random_seed.value_or(RandomSeed());
  APIUM_RETURN_IF_ERROR(OpenStore());
  APIUM_RETURN_IF_ERROR(StartShard());
  APIUM_RETURN_IF_ERROR(StartServices());
  APIUM_RETURN_IF_ERROR(StartAdmin());
  {
    absl::MutexLock lock(&mu_);
    ready_ = failure_.ok();
  }
  rpc_server_->SetReady(failure().ok());
  return absl::OkStatus();
}

absl::Status BrokerServer::Impl::OpenStore() {
  if (config_.store != nullptr) {
    store_ = std::move(config_.store);
  } else if (config_.data_dir.empty()) {
    store_ = std::make_unique<MemoryStore>();
  } else {
    RocksDbOptions options;
    options.path = config_.data_dir;
    options.should_drop = [clock = clock_, confirmed = &confirmed_position_](
                              std::string_view key, std::string_view value) {
      return IsDroppableRow(key, value, clock->Now(),
                            confirmed->load(std::memory_order_relaxed));
    };
    APIUM_ASSIGN_OR_RETURN(store_, RocksDbStore::Open(options));
  }
  return CheckOrWriteIdentity(*store_, {.name = std::string(kStoreName),
                                        .format_version = kStoreFormatVersion});
}

absl::Status BrokerServer::Impl::StartShard() {
  const absl::Time begin = clock_->Now();
  APIUM_ASSIGN_OR_RETURN(
      std::unique_ptr<Engine> engine,
      Engine::Recover(config_.engine, store_.get(), clock_->Now()));
  shard_id_ = engine->shard_id();
  confirmed_position_.store(engine->outbox_confirmed_position());
  LogInfo("recovered",
          {{"shard_id", shard_id_},
           {"duration", clock_->Now() - begin},
           {"outbox_last", engine->outbox_last_position()},
           {"outbox_confirmed", engine->outbox_confirmed_position()}});
  const std::shared_ptr<grpc::Channel> results = ConnectToResults(config_);
  if (results != nullptr) {
    results_ = MakeGrpcResultReader(results);
    forwarder_ = std::make_unique<ResultForwarder>(
        ResultForwarderOptions{
            .shard_id = shard_id_,
            .confirmed_position = engine->outbox_confirmed_position(),
            .last_position = engine->outbox_last_position()},
        results, store_.get(),
        [this](uint64_t position) { shard_->ConfirmOutbox(position); });
  }
  commit_ = std::make_unique<GroupCommit>(
      config_.commit, store_.get(), forwarder_.get(), commit_metrics_.get(),
      clock_, [this](const absl::Status& status) { Fail(status); });
  shard_ = std::make_unique<Shard>(TurnLimits(), std::move(engine), &mailbox_,
                                   commit_.get(), clock_, &confirmed_position_);
  if (forwarder_ != nullptr) forwarder_->Start();
  if (!config_.data_dir.empty() && config_.min_free_disk_bytes > 0) {
    disk_guard_ = std::make_unique<DiskGuard>(
        DiskGuardOptions{.min_free_bytes = config_.min_free_disk_bytes},
        [path = config_.data_dir] { return GetDiskSpace(path); },
        [this](absl::Status refusal) {
          // A mailbox that is closed refuses everything by itself.
          mailbox_
              .Push(SetAdmissionCommand{std::move(refusal)},
                    MailboxShare::kUnbounded)
              .IgnoreError();
        });
  }
  return absl::OkStatus();
}

absl::Status BrokerServer::Impl::StartServices() {
  ServiceContext context;
  context.mailbox = &mailbox_;
  context.open_calls = &open_calls_;
  context.results = results_.get();
  context.clock = clock_;
  context.limits = config_.task_limits;
  context.stream_window = config_.stream_window;
  SessionTerms terms;
  terms.lease_duration = config_.engine.lease_duration;
  // Two heartbeats may be lost.
  terms.heartbeat_interval = config_.engine.lease_duration / 3;
  terms.max_credit = config_.engine.max_credit;
  terms.chunk_window_bytes = config_.chunk_window_bytes;
  task_service_ = std::make_unique<TaskServiceImpl>(context);
  queue_service_ = std::make_unique<QueueServiceImpl>(context);
  batch_service_ = std::make_unique<BatchServiceImpl>(context);
  dead_letter_service_ = std::make_unique<DeadLetterServiceImpl>(context);
  task_type_service_ = std::make_unique<TaskTypeServiceImpl>(context);
  limit_service_ = std::make_unique<LimitServiceImpl>(context);
  routing_service_ = std::make_unique<RoutingServiceImpl>(context);
  worker_service_ = std::make_unique<WorkerServiceImpl>(context, terms);
  info_service_ = std::make_unique<ServerInfoServiceImpl>(
      context, shard_id_, config_.engine.namespaces);
  RpcServerOptions rpc;
  rpc.listen_address = config_.listen_address;
  rpc.services = {task_service_.get(),      queue_service_.get(),
                  batch_service_.get(),     dead_letter_service_.get(),
                  task_type_service_.get(), limit_service_.get(),
                  routing_service_.get(),   worker_service_.get(),
                  info_service_.get()};
  rpc.metrics = grpc_metrics_.get();
  APIUM_ASSIGN_OR_RETURN(rpc_server_, RpcServer::Start(std::move(rpc)));
  keepalive_ = std::make_unique<CallbackQueueKeepalive>();
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
  return absl::OkStatus();
}

absl::Status BrokerServer::Impl::StartAdmin() {
  if (config_.http_listen_address.empty()) return absl::OkStatus();
  AdminServerOptions admin;
  admin.listen_address = config_.http_listen_address;
  admin.service = std::string(kStoreName);
  admin.collectables = {
      commit_metrics_, grpc_metrics_,
      std::make_shared<BrokerCollector>(&mailbox_, store_.get(),
                                        disk_guard_.get(), forwarder_.get()),
      std::make_shared<ProcessCollector>()};
  admin.liveness = {{"store", [this] { return failure(); }}};
  admin.readiness = {{"serving", [this] {
                        absl::MutexLock lock(&mu_);
                        return ready_ ? failure_
                                      : absl::UnavailableError(
                                            "starting or stopping");
                      }}};
  APIUM_ASSIGN_OR_RETURN(admin_, AdminServer::Start(std::move(admin)));
  return absl::OkStatus();
}

void BrokerServer::Impl::Fail(const absl::Status& status) {
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) return;
    failure_ = status;
    // Under the lock, because a shutdown takes it before it ends the server.
    if (std::exchange(ready_, false)) rpc_server_->SetReady(false);
  }
  LogError("the broker cannot go on", {{"error", status}});
  open_calls_.EndAll(
      WithReason(absl::UnavailableError("the broker has failed and restarts"),
                 reason::kStoreFailed));
  if (config_.on_failure) config_.on_failure(status);
}

void BrokerServer::Impl::Shutdown(absl::Duration grace) {
  {
    absl::MutexLock lock(&mu_);
    ready_ = false;
    if (!failure_.ok()) grace = std::min(grace, kGraceAfterFailure);
  }
  // 1. Nobody new comes.
  if (rpc_server_ != nullptr) rpc_server_->SetReady(false);
  probe_.reset();
  disk_guard_.reset();
  const absl::Status stopping =
      WithReason(absl::UnavailableError("the broker is stopping; try again"),
                 reason::kShuttingDown);
  // Closed already after a failure, or in a second call.
  mailbox_.Push(SetAdmissionCommand{stopping}, MailboxShare::kUnbounded)
      .IgnoreError();
  // 2. Who is there is answered and leaves, or is put out.
  open_calls_.EndAll(stopping);
  if (rpc_server_ != nullptr) {
    rpc_server_->Shutdown(grace);
    rpc_server_.reset();
  }
  keepalive_.reset();
  admin_.reset();
  // 3. What was accepted is applied, synced and released.
  if (shard_ != nullptr) shard_->Stop(stopping);
  commit_.reset();
  // 4. The forwarder confirms to the shard until it is stopped; what is not
  // confirmed stays in the outbox.
  forwarder_.reset();
  shard_.reset();
  store_.reset();
}

absl::StatusOr<std::unique_ptr<BrokerServer>> BrokerServer::Start(
    BrokerConfig config) {
  auto impl = std::make_unique<Impl>(std::move(config));
  APIUM_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<BrokerServer>(new BrokerServer(std::move(impl)));
}

BrokerServer::BrokerServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

BrokerServer::~BrokerServer() = default;

int BrokerServer::port() const { return impl_->rpc_server_->port(); }

int BrokerServer::http_port() const {
  return impl_->admin_ == nullptr ? 0 : impl_->admin_->port();
}

const std::string& BrokerServer::local_target() const {
  return impl_->rpc_server_->local_target();
}

std::shared_ptr<grpc::Channel> BrokerServer::InProcessChannel() {
  return impl_->rpc_server_->InProcessChannel();
}

const std::string& BrokerServer::shard_id() const { return impl_->shard_id_; }

absl::Status BrokerServer::failure() const { return impl_->failure(); }

void BrokerServer::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace apium::broker
