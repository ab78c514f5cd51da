#include "worker/worker.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/names.h"
#include "common/rpc/callback_queue_keepalive.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/version.h"
#include "worker/broker_stream.h"
#include "worker/executor.h"
#include "worker/pool/thread_pool.h"
#include "worker/session_core.h"
#include "worker/slot_ledger.h"
#include "worker/task_registry.h"
#include "worker/timer_thread.h"
#include "worker/worker_metrics.h"

namespace apium {
namespace {

// After the grace: time for cancelled handlers to stop, and for brokers to
// acknowledge what was handed back. Both are at work already, so this is long.
constexpr absl::Duration kObeyTime = absl::Seconds(1);
constexpr absl::Duration kAcknowledgeTime = absl::Seconds(5);
constexpr absl::Duration kCloseTime = absl::Seconds(1);

// Of a connection: how long one attempt may take. gRPC's own back-off between
// attempts must not add to that of the stream, so it is short.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kKeepalivePing)));
  arguments.SetInt(
      GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Workers of one process do not share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
  arguments.SetMaxSendMessageSize(kGrpcMessageBytesMax);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(),
                                   arguments);
}

v1::Hello MakeHello(const WorkerOptions& options,
                    const TaskRegistry& registry) {
  v1::Hello hello;
  hello.set_namespace_(options.namespace_name);
  hello.set_worker_id(options.worker_id);
  for (const std::string& type : registry.types()) {
    hello.add_task_types()->set_type(type);
  }
  // A weight needs a queue to be said with.
  std::vector<std::string> queues = options.queues;
  if (queues.empty() && !options.queue_weights.empty()) {
    queues.emplace_back(kDefaultQueue);
  }
  for (const std::string& queue : queues) {
    v1::QueueSubscription* subscription = hello.add_queues();
    subscription->set_queue(queue);
    const auto weight = options.queue_weights.find(queue);
    if (weight != options.queue_weights.end()) {
      subscription->set_weight(weight->second);
    }
  }
  for (const auto& [name, value] : options.labels) {
    (*hello.mutable_labels())[name] = value;
  }
  hello.set_slots(options.slots);
  hello.set_version(std::string(kVersion));
  char hostname[256] = {};
  if (gethostname(hostname, sizeof(hostname) - 1) == 0) {
    hello.set_hostname(hostname);
  }
  return hello;
}

}  // namespace

class Worker::Impl {
 public:
  explicit Impl(WorkerOptions options)
      : options_(WithDefaults(std::move(options))),
        metrics_(std::make_shared<WorkerMetrics>()) {}
  ~Impl() { Stop(); }

  absl::Status Start();
  absl::Status Drain(absl::Duration grace);
  void Close();
  void Stop();
  absl::Status ConnectionStatus() const;
  bool connected() const;
  const WorkerOptions options_;
  TaskRegistry registry_;
  const std::shared_ptr<WorkerMetrics> metrics_;
  // From Start to Stop. Streams use what is above them and are used by the pool
  // and the timer: see Stop for the order of the end.
  std::optional<CallbackQueueKeepalive> keepalive_;
  std::optional<SlotLedger> ledger_;
  std::optional<Executor> executor_;
  std::unique_ptr<ThreadPool> pool_;
  std::vector<std::unique_ptr<BrokerStream>> streams_;
  std::unique_ptr<TimerThread> timer_;

  // Asks `question`, which looks at the streams, until it is true, at most
  // until `limit`; infinite: until the grace of the drain ends.
  bool WaitFor(bool (Impl::*question)() const, absl::Time limit) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::unique_ptr<BrokerStream> MakeStream(
      size_t index, std::string target, std::shared_ptr<grpc::Channel> channel);
  void OnDrainRequested();
  void DrainStreams();
  // Wakes WaitFor.
  void NoteChange() ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing runs.
  bool AllStopped() const;
  // No stream holds a lease.
  bool AllIdle() const;
  // The same of those that are connected: the others cannot acknowledge.
  bool AllSettled() const;

  mutable absl::Mutex mu_;
  mutable absl::CondVar changed_;
  uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time grace_end_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool closed_ = false;
  std::atomic<bool> drain_requested_{false};
};

absl::Status Worker::Impl::Start() {
  APIUM_CHECK(pool_ == nullptr && !closed_) << "a worker starts once";
  APIUM_RETURN_IF_ERROR(ValidateWorkerOptions(options_));
  if (registry_.types().empty()) {
    return absl::FailedPreconditionError(
        "the worker has no tasks: register a function before Start");
  }
  const size_t brokers = options_.brokers.size() + options_.channels.size();
  keepalive_.emplace();
  ledger_.emplace(options_.slots + options_.prefetch, brokers);
  executor_.emplace(
      ExecutorOptions{.registry = &registry_,
                      .clock = options_.clock,
                      .metrics = metrics_.get(),
                      .worker_id = options_.worker_id,
                      .result_bytes_max = options_.result_bytes_max});
  pool_ = std::make_unique<ThreadPool>(
      options_.slots,
      [this](Attempt* attempt) { executor_->Execute(attempt); });
  metrics_->set_slots(options_.slots);
  metrics_->WatchBusySlots([pool = pool_.get()] { return pool->busy(); });
  for (const std::string& broker : options_.brokers) {
    streams_.push_back(
        MakeStream(streams_.size(), broker, MakeChannel(broker)));
  }
  for (const std::shared_ptr<grpc::Channel>& channel : options_.channels) {
    streams_.push_back(MakeStream(streams_.size(), "in-process", channel));
  }
  timer_ =
      std::make_unique<TimerThread>(options_.clock, [this](absl::Duration now) {
        absl::Duration next = absl::InfiniteDuration();
        for (const auto& stream : streams_) {
          next = std::min(next, stream->OnTimer(now));
        }
        return next;
      });
  for (const auto& stream : streams_) stream->Start();
  return absl::OkStatus();
}

std::unique_ptr<BrokerStream> Worker::Impl::MakeStream(
    size_t index, std::string target, std::shared_ptr<grpc::Channel> channel) {
  BrokerStreamOptions options;
  options.target = std::move(target);
  options.channel = std::move(channel);
  options.core.hello = MakeHello(options_, registry_);
  options.core.slots = &*ledger_;
  options.core.broker = index;
  options.pool = pool_.get();
  options.clock = options_.clock;
  options.metrics = metrics_.get();
  options.wake_by = [this](absl::Duration when) { timer_->WakeBy(when); };
  options.places_freed = [this] {
    for (const auto& stream : streams_) stream->Pump();
  };
  options.drain_requested = [this] { OnDrainRequested(); };
  options.changed = [this] { NoteChange(); };
  return std::make_unique<BrokerStream>(std::move(options));
}

void Worker::Impl::OnDrainRequested() {
  if (drain_requested_.exchange(true)) return;
  LogInfo("an operator asked this worker to drain",
          {{"worker_id", options_.worker_id}});
  DrainStreams();
  if (options_.on_drain_requested) options_.on_drain_requested();
}

void Worker::Impl::DrainStreams() {
  for (const auto& stream : streams_) stream->Drain();
}

bool Worker::Impl::AllStopped() const {
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const auto& stream) { return stream->running() == 0; });
}

bool Worker::Impl::AllIdle() const {
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const auto& stream) { return stream->idle(); });
}

bool Worker::Impl::AllSettled() const {
  return std::all_of(streams_.begin(), streams_.end(), [](const auto& stream) {
    return stream->idle() || !stream->connected();
  });
}

bool Worker::Impl::connected() const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto& stream) { return stream->connected(); });
}

// The questions take the streams' locks, which are never taken under mu_: ask,
// and wait for a change only if there was none since.
bool Worker::Impl::WaitFor(bool (Impl::*question)() const,
                           absl::Time limit) const {
  while (true) {
    uint64_t seen = 0;
    {
      absl::MutexLock lock(&mu_);
      seen = changes_;
    }
    if ((this->*question)()) return true;
    absl::MutexLock lock(&mu_);
    while (changes_ == seen) {
      const absl::Time deadline =
          limit == absl::InfiniteFuture() ? grace_end_ : limit;
      if (absl::Now() >= deadline) return false;
      changed_.WaitWithDeadline(&mu_, deadline);
    }
  }
}

void Worker::Impl::NoteChange() {
  absl::MutexLock lock(&mu_);
  ++changes_;
  changed_.SignalAll();
}

absl::Status Worker::Impl::Drain(absl::Duration grace) {
  {
    absl::MutexLock lock(&mu_);
    grace_end_ = std::min(grace_end_, absl::Now() + grace);
  }
  NoteChange();
  DrainStreams();
  constexpr std::string_view kReason = "draining";
  // What has not begun can begin elsewhere.
  if (pool_ != nullptr) pool_->CancelWaiting(CancelCause::kDraining, kReason);
  if (WaitFor(&Impl::AllIdle, absl::InfiniteFuture())) return absl::OkStatus();

  for (const auto& stream : streams_) stream->CancelAll(kReason);
  if (!WaitFor(&Impl::AllStopped, absl::Now() + kObeyTime)) {
    for (const auto& stream : streams_) stream->ReturnAll(kReason);
  }
  WaitFor(&Impl::AllSettled, absl::Now() + kAcknowledgeTime);
  size_t held = 0;
  for (const auto& stream : streams_) held += stream->held();
  if (held == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(
      StrCat(held,
             " tasks were not acknowledged by their brokers; they will "
             "run again once their leases end"));
}

void Worker::Impl::Close() {
  if (pool_ == nullptr || closed_) return;
  closed_ = true;
  if (absl::Status status = Drain(absl::ZeroDuration()); !status.ok()) {
    LogWarning("left with tasks in hand", {{"error", status}});
  }
  for (const auto& stream : streams_) stream->Close(kCloseTime);
  // No stream calls it any more; it calls streams until here.
  timer_.reset();
}

void Worker::Impl::Stop() {
  Close();
  // Running handlers report to the streams, so these go last.
  metrics_->WatchBusySlots(nullptr);
  pool_.reset();
  streams_.clear();
  keepalive_.reset();
}

absl::Status Worker::Impl::ConnectionStatus() const {
  if (connected()) return absl::OkStatus();
  std::string text = "connected to no broker";
  for (const auto& stream : streams_) {
    const absl::Status error = stream->last_error();
    StrAppend(&text, "; ", stream->target(), ": ",
              error.ok() ? "connecting" : error.ToString());
  }
  return absl::UnavailableError(text);
}

// --- Face ---

Worker::Worker(WorkerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
Worker::~Worker() = default;

absl::Status Worker::RegisterHandler(std::string type, TaskHandler handler) {
  return impl_->registry_.Add(std::move(type), std::move(handler));
}
absl::Status Worker::Start() { return impl_->Start(); }
absl::Status Worker::Drain(absl::Duration grace) { return impl_->Drain(grace); }
void Worker::Close() { impl_->Close(); }
void Worker::Stop() { impl_->Stop(); }
bool Worker::connected() const { return impl_->connected(); }
bool Worker::WaitUntilConnected(absl::Duration timeout) const {
  return impl_->WaitFor(&Impl::connected, absl::Now() + timeout);
}
absl::Status Worker::ConnectionStatus() const {
  return impl_->ConnectionStatus();
}
uint32_t Worker::busy_slots() const {
  return impl_->pool_ == nullptr ? 0 : impl_->pool_->busy();
}
const std::string& Worker::worker_id() const {
  return impl_->options_.worker_id;
}
uint32_t Worker::slots() const { return impl_->options_.slots; }
std::shared_ptr<prometheus::Collectable> Worker::metrics() const {
  return impl_->metrics_;
}

}  // namespace apium
