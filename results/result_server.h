// The result service of one process, put together.
//
//   auto server = ResultServer::Start({.listen_address = "127.0.0.1:0"});
//   Connect(server->local_target());
//   server->Shutdown(absl::Seconds(5));

#ifndef APIUM_RESULTS_RESULT_SERVER_H_
#define APIUM_RESULTS_RESULT_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "storage/store.h"

namespace grpc {
class Channel;
}

namespace apium {
class Clock;
}  // namespace apium

namespace apium::results {

struct ResultServerConfig {
  // host:port of gRPC, port 0 takes a free one; or unix:/path.
  std::string listen_address = "127.0.0.1:0";
  // host:port of /metrics, /livez, /readyz; empty: none.
  std::string http_listen_address;
  // Folder of the store; empty: in memory, lost with the server.
  std::string data_dir;
  // When set, used instead of data_dir: a test's store.
  std::unique_ptr<Store> store;

  // What readers may name, at least one. Brokers may publish into any.
  std::vector<std::string> namespaces = {"default"};
  // How long outcomes are kept that do not say, in [1 s, kResultTtlMax].
  absl::Duration result_ttl = kResultTtlDefault;
  size_t waiters_max = 100'000;
  size_t watchers_max = 1'000;
  // Of one gRPC message. Twice what brokers keep to: a batch that is refused
  // for its size would stop its outbox for ever.
  size_t max_message_bytes = 2 * kGrpcMessageBytesMax;

  // Borrowed; null: the machine's.
  const Clock* clock = nullptr;
  // Called once, on a thread of the server, when it cannot go on: the store
  // failed, or the listener is dead. Must not destroy the server. The process
  // should end with an error, and be started again. Null: it is only logged.
  std::function<void(const absl::Status&)> on_failure;
  // Dials its own listener every 5 s (SelfProbe). Off for servers inside of
  // another process's tests.
  bool self_probe = true;
};

// Any thread, but Shutdown once.
class ResultServer {
 public:
  // Opens the store, recovers, listens. Errors: those of RocksDbStore::Open and
  // CheckOrWriteIdentity; UNAVAILABLE / ADDRESS_IN_USE; INVALID_ARGUMENT naming
  // what is wrong with the configuration.
  static absl::StatusOr<std::unique_ptr<ResultServer>> Start(
      ResultServerConfig config);
  // Shutdown(0), if it was not called.
  ~ResultServer();
  ResultServer(const ResultServer&) = delete;
  ResultServer& operator=(const ResultServer&) = delete;

  // The ports that were bound; 0: no such listener.
  int port() const;
  int http_port() const;
  // Where clients on this machine reach it: "127.0.0.1:PORT", "unix:/path".
  const std::string& local_target() const;
  // A channel that does not go through the network.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // OK, or what made the server unable to go on.
  absl::Status failure() const;

  // Not ready any more; what was accepted is committed and confirmed; streams
  // and waiting calls end with UNAVAILABLE / SHUTTING_DOWN; calls that still
  // run after `grace` are cancelled.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit ResultServer(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_RESULT_SERVER_H_
