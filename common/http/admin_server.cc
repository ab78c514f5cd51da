#include "common/http/admin_server.h"

#include <httplib.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

#include <atomic>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "common/error_reason.h"
#include "common/listen_address.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/version.h"

namespace apium {
namespace {

// A scrape, the probes, and a person.
constexpr size_t kThreads = 4;
// An idle connection holds one of the threads: let it go soon.
constexpr time_t kKeepAliveSeconds = 2;
constexpr time_t kReadSeconds = 5;
constexpr time_t kWriteSeconds = 10;
// Nothing is posted here.
constexpr size_t kBodyBytesMax = 4096;

constexpr char kTextType[] = "text/plain; charset=utf-8";
constexpr char kPrometheusType[] = "text/plain; version=0.0.4; charset=utf-8";

// httplib's own options set SO_REUSEPORT, with which a second process on the
// port is no error.
void SetListenerOptions(int socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

// One line for each check; true if all are OK.
bool RunChecks(const std::vector<HealthCheck>& checks, std::string* report) {
  bool all_ok = true;
  for (const HealthCheck& check : checks) {
    const absl::Status status = check.check();
    if (status.ok()) {
      StrAppend(report, "[+]", check.name, " ok\n");
    } else {
      all_ok = false;
      StrAppend(report, "[-]", check.name, " ",
                status.ToString(absl::StatusToStringMode::kWithNoExtraData),
                "\n");
    }
  }
  return all_ok;
}

}  // namespace

class AdminServer::Impl {
 public:
  explicit Impl(AdminServerOptions options) : options_(std::move(options)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_socket_options(&SetListenerOptions);
    server_.set_keep_alive_timeout(kKeepAliveSeconds);
    server_.set_read_timeout(kReadSeconds);
    server_.set_write_timeout(kWriteSeconds);
    server_.set_payload_max_length(kBodyBytesMax);
    AddRoutes();
  }

  ~Impl() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  absl::Status Start() {
    APIUM_ASSIGN_OR_RETURN(const HostPort address,
                           ParseHostPort(options_.listen_address));
    const std::string host = address.host.empty() ? "0.0.0.0" : address.host;
    const bool bound = address.port == 0
                           ? (port_ = server_.bind_to_any_port(host)) > 0
                           : server_.bind_to_port(host, port_ = address.port);
    if (!bound) {
      APIUM_RETURN_IF_ERROR(CheckCanListen(address));
      return absl::UnavailableError(
          StrCat("cannot listen for HTTP at ", options_.listen_address));
    }
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    // stop() before the loop runs would be lost.
    while (!server_.is_running() && !ended_) std::this_thread::yield();
    return absl::OkStatus();
  }

  int port() const { return port_; }

 private:
  void AddRoutes() {
    server_.Get("/metrics", [this](const httplib::Request&,
                                   httplib::Response& response) {
      std::vector<prometheus::MetricFamily> families;
      for (const auto& collectable : options_.collectables) {
        std::vector<prometheus::MetricFamily> some = collectable->Collect();
        std::move(some.begin(), some.end(), std::back_inserter(families));
      }
      response.set_content(prometheus::TextSerializer().Serialize(families),
                           kPrometheusType);
    });
    server_.Get("/livez",
                [this](const httplib::Request&, httplib::Response& response) {
                  AnswerChecks({&options_.liveness}, "livez", response);
                });
    server_.Get("/readyz",
                [this](const httplib::Request&, httplib::Response& response) {
                  AnswerChecks({&options_.readiness}, "readyz", response);
                });
    server_.Get("/healthz",
                [this](const httplib::Request&, httplib::Response& response) {
                  AnswerChecks({&options_.liveness, &options_.readiness},
                               "healthz", response);
                });
    server_.Get("/version", [this](const httplib::Request&,
                                   httplib::Response& response) {
      const nlohmann::ordered_json version = {{"service", options_.service},
                                              {"version", kVersion},
                                              {"compiler", kCompiler}};
      response.set_content(version.dump() + "\n", "application/json");
    });
    server_.set_error_handler(
        [](const httplib::Request&, httplib::Response& response) {
          if (response.status == 404 && response.body.empty()) {
            response.set_content(
                "not found; there are /metrics, /livez, /readyz, /healthz and "
                "/version\n",
                kTextType);
          }
        });
  }

  void AnswerChecks(const std::vector<const std::vector<HealthCheck>*>& groups,
                    const std::string& name, httplib::Response& response) {
    std::string report;
    bool all_ok = true;
    for (const std::vector<HealthCheck>* checks : groups)
      all_ok = RunChecks(*checks, &report) && all_ok;
    StrAppend(&report, name, all_ok ? " check passed\n" : " check failed\n");
    response.status = all_ok ? 200 : 503;
    response.set_header("Cache-Control", "no-store");
    response.set_content(report, kTextType);
  }

  const AdminServerOptions options_;
  httplib::Server server_;
  int port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    AdminServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  APIUM_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() = default;

int AdminServer::port() const { return impl_->port(); }

}  // namespace apium
