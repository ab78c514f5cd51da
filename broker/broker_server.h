// The broker of one process, put together.
//
//   auto server = BrokerServer::Start({.listen_address = "127.0.0.1:0"});
//   Connect((*server)->local_target());
//   (*server)->Shutdown(absl::Seconds(5));

#ifndef APIUM_BROKER_BROKER_SERVER_H_
#define APIUM_BROKER_BROKER_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/engine/engine.h"
#include "broker/service/task_from_proto.h"
#include "broker/shard/group_commit.h"
#include "broker/shard/mailbox.h"
#include "storage/store.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace apium {
class Clock;
}  // namespace apium

namespace apium::broker {

struct BrokerConfig {
  // host:port of gRPC, port 0 takes a free one; or unix:/path.
  std::string listen_address = "127.0.0.1:0";
  // host:port of /metrics, /livez, /readyz; empty: none.
  std::string http_listen_address;
  // Folder of the store; empty: in memory, lost with the server.
  std::string data_dir;
  // When set, used instead of data_dir: a test's store.
  std::unique_ptr<Store> store;

  // gRPC target of the result service; empty: none. Outcomes then stay in the
  // broker's outbox, and are read from there.
  std::string results_address;
  // When set, used instead of results_address: a result service in this
  // process.
  std::shared_ptr<grpc::Channel> results_channel;

  // Its random_seed is replaced by a random one, unless `random_seed` is set.
  EngineOptions engine;
  std::optional<uint64_t> random_seed;
  TaskLimits task_limits;
  MailboxLimits mailbox;
  GroupCommitOptions commit;
  uint32_t stream_window = 8192;
  // Bytes of chunks that a worker may have sent without an acknowledgement:
  // what fills the time of a commit, and small beside the mailbox.
  uint64_t chunk_window_bytes = 4 * 1024 * 1024;
  // Below this much free disk submits are refused. 0: never.
  uint64_t min_free_disk_bytes = 256 * 1024 * 1024;

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
class BrokerServer {
 public:
  // Opens the store, recovers, listens. Errors: those of RocksDbStore::Open and
  // CheckOrWriteIdentity; UNAVAILABLE / ADDRESS_IN_USE; INVALID_ARGUMENT naming
  // what is wrong with the configuration.
  static absl::StatusOr<std::unique_ptr<BrokerServer>> Start(
      BrokerConfig config);
  // Shutdown(0), if it was not called.
  ~BrokerServer();
  BrokerServer(const BrokerServer&) = delete;
  BrokerServer& operator=(const BrokerServer&) = delete;

  // The ports that were bound; 0: no such listener.
  int port() const;
  int http_port() const;
  // Where clients on this machine reach it: "127.0.0.1:PORT", "unix:/path".
  const std::string& local_target() const;
  // A channel that does not go through the network.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // Identity of the store.
  const std::string& shard_id() const;
  // OK, or what made the server unable to go on.
  absl::Status failure() const;

  // Not ready any more; submits are refused and waits, watches and streams end
  // with UNAVAILABLE / SHUTTING_DOWN; what was accepted is committed and
  // answered; calls that still run after `grace` are cancelled; the store is
  // closed.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit BrokerServer(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace apium::broker

#endif  // APIUM_BROKER_BROKER_SERVER_H_
