#include "common/metrics/grpc_server_metrics.h"

#include <grpcpp/support/interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace apium {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// A client names the method; unknown ones must not become series without end.
constexpr size_t kMethodsMax = 256;

constexpr std::array<const char*, 17> kCodeNames = {"OK",
                                                    "Canceled",
                                                    "Unknown",
                                                    "InvalidArgument",
                                                    "DeadlineExceeded",
                                                    "NotFound",
                                                    "AlreadyExists",
                                                    "PermissionDenied",
                                                    "ResourceExhausted",
                                                    "FailedPrecondition",
                                                    "Aborted",
                                                    "OutOfRange",
                                                    "Unimplemented",
                                                    "Internal",
                                                    "Unavailable",
                                                    "DataLoss",
                                                    "Unauthenticated"};

// Seconds. From 100 us (an answer from memory) by doubling steps that hit the
// round values dashboards draw lines at.
constexpr std::array<double, 17> kBuckets = {
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
    0.1,    0.2,    0.5,    1,     2,     5,     10,   60};

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unary";
}

// Counters of one method. Atomics of our own rather than prometheus::Histogram,
// whose Observe takes a mutex: this runs in every call.
struct MethodCounters {
  MethodCounters(std::string service_name, std::string method_name,
                 ServerRpcInfo::Type call_type)
      : service(std::move(service_name)),
        method(std::move(method_name)),
        type(call_type) {}

  void Observe(int code, absl::Duration duration) {
    const size_t index =
        code >= 0 && static_cast<size_t>(code) < kCodeNames.size() ? code : 2;
    handled[index].fetch_add(1, std::memory_order_relaxed);
    const double seconds = absl::ToDoubleSeconds(duration);
    size_t bucket = 0;
    while (bucket < kBuckets.size() && seconds > kBuckets[bucket]) ++bucket;
    buckets[bucket].fetch_add(1, std::memory_order_relaxed);
    nanos.fetch_add(absl::ToInt64Nanoseconds(duration),
                    std::memory_order_relaxed);
  }

  const std::string service;
  const std::string method;
  const ServerRpcInfo::Type type;
  std::atomic<uint64_t> started{0};
  std::array<std::atomic<uint64_t>, kCodeNames.size()> handled{};
  std::array<std::atomic<uint64_t>, kBuckets.size() + 1>
      buckets{};  // the last one is +Inf
  std::atomic<int64_t> nanos{0};
};

}  // namespace

class GrpcServerMetrics::Table {
 public:
  // `path` is "/package.Service/Method". The pointer is good for the life of
  // the table.
  MethodCounters* Find(const char* path, ServerRpcInfo::Type type)
      ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::ReaderMutexLock lock(&mu_);
      const auto it = methods_.find(path);
      if (it != methods_.end()) return it->second.get();
    }
    absl::MutexLock lock(&mu_);
    if (methods_.size() >= kMethodsMax) path = "/other/other";
    std::unique_ptr<MethodCounters>& counters = methods_[path];
    if (counters == nullptr) counters = Make(path, type);
    return counters.get();
  }

  template <typename Visitor>
  void ForEach(Visitor visitor) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::ReaderMutexLock lock(&mu_);
    for (const auto& [path, counters] : methods_) visitor(*counters);
  }

 private:
  static std::unique_ptr<MethodCounters> Make(std::string_view path,
                                              ServerRpcInfo::Type type) {
    if (!path.empty() && path.front() == '/') path.remove_prefix(1);
    const size_t slash = path.find('/');
    const std::string_view method =
        slash == std::string_view::npos ? "" : path.substr(slash + 1);
    return std::make_unique<MethodCounters>(std::string(path.substr(0, slash)),
                                            std::string(method), type);
  }

  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::unique_ptr<MethodCounters>> methods_
      ABSL_GUARDED_BY(mu_);
};

namespace {

// Lives as long as one call.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit CallInterceptor(MethodCounters* counters)
      : counters_(counters), start_nanos_(absl::GetCurrentTimeNanos()) {
    counters_->started.fetch_add(1, std::memory_order_relaxed);
  }

  // A call that ended without a status of ours was cancelled.
  ~CallInterceptor() override {
    counters_->Observe(
        code_, absl::Nanoseconds(absl::GetCurrentTimeNanos() - start_nanos_));
  }

  void Intercept(InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = static_cast<int>(batch->GetSendStatus().error_code());
    }
    batch->Proceed();
  }

 private:
  MethodCounters* const counters_;
  const int64_t start_nanos_;
  int code_ = static_cast<int>(grpc::StatusCode::CANCELLED);
};

class CallInterceptorFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallInterceptorFactory(
      std::shared_ptr<GrpcServerMetrics::Table> table)
      : table_(std::move(table)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      ServerRpcInfo* info) override {
    return new CallInterceptor(table_->Find(info->method(), info->type()));
  }

 private:
  const std::shared_ptr<GrpcServerMetrics::Table> table_;
};

std::vector<prometheus::ClientMetric::Label> LabelsOf(
    const MethodCounters& counters) {
  return {{"grpc_service", counters.service},
          {"grpc_method", counters.method},
          {"grpc_type", TypeName(counters.type)}};
}

prometheus::ClientMetric HistogramOf(const MethodCounters& counters) {
  prometheus::ClientMetric metric;
  metric.label = LabelsOf(counters);
  uint64_t count = 0;
  for (size_t i = 0; i <= kBuckets.size(); ++i) {
    count += counters.buckets[i].load(std::memory_order_relaxed);
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = count;
    bucket.upper_bound = i < kBuckets.size()
                             ? kBuckets[i]
                             : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum =
      static_cast<double>(counters.nanos.load(std::memory_order_relaxed)) *
      1e-9;
  return metric;
}

prometheus::MetricFamily Family(const char* name, const char* help,
                                prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

}  // namespace

GrpcServerMetrics::GrpcServerMetrics() : table_(std::make_shared<Table>()) {}

GrpcServerMetrics::~GrpcServerMetrics() = default;

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
GrpcServerMetrics::MakeInterceptorFactory() {
  return std::make_unique<CallInterceptorFactory>(table_);
}

std::vector<prometheus::MetricFamily> GrpcServerMetrics::Collect() const {
  using prometheus::MetricType;
  prometheus::MetricFamily started = Family(
      "grpc_server_started_total",
      "Total number of RPCs started on the server.", MetricType::Counter);
  prometheus::MetricFamily handled = Family(
      "grpc_server_handled_total",
      "Total number of RPCs completed on the server, regardless of success or "
      "failure.",
      MetricType::Counter);
  prometheus::MetricFamily handling =
      Family("grpc_server_handling_seconds",
             "Histogram of response latency (seconds) of gRPC that had been "
             "application-level handled by the server.",
             MetricType::Histogram);
  table_->ForEach([&](const MethodCounters& counters) {
    prometheus::ClientMetric metric;
    metric.label = LabelsOf(counters);
    metric.counter.value =
        static_cast<double>(counters.started.load(std::memory_order_relaxed));
    started.metric.push_back(metric);
    for (size_t code = 0; code < kCodeNames.size(); ++code) {
      const uint64_t count =
          counters.handled[code].load(std::memory_order_relaxed);
      // A series for each code that was ever answered, and OK from the start.
      if (count == 0 && code != 0) continue;
      metric.label = LabelsOf(counters);
      metric.label.push_back({"grpc_code", kCodeNames[code]});
      metric.counter.value = static_cast<double>(count);
      handled.metric.push_back(metric);
    }
    handling.metric.push_back(HistogramOf(counters));
  });
  return {std::move(started), std::move(handled), std::move(handling)};
}

}  // namespace apium
