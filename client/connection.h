// One connection to a server, shared by the clients of its services.

#ifndef APIUM_CLIENT_CONNECTION_H_
#define APIUM_CLIENT_CONNECTION_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/client_options.h"

namespace grpc {
class Channel;
}

namespace apium {

class CallbackQueueKeepalive;

// Any thread. Clients that are made from one Connection share its HTTP/2
// connection.
class Connection {
 public:
  // Touches no network: the first call connects. INVALID_ARGUMENT names the
  // option that is wrong.
  static absl::StatusOr<std::shared_ptr<Connection>> Open(
      ClientOptions options);
  // Over a channel that exists, for example one inside the process.
  // `options.addresses` is for messages only.
  static absl::StatusOr<std::shared_ptr<Connection>> Over(
      std::shared_ptr<grpc::Channel> channel, ClientOptions options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const ClientOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Calls of gRPC's callback API are delayed by up to 100 ms after an idle
  // second unless something keeps their threads awake (CallbackQueueKeepalive);
  // whoever is about to make one says so here. Costs nothing from the second
  // time on.
  void KeepCallbacksAwake() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Connection(std::shared_ptr<grpc::Channel> channel, ClientOptions options);

  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  absl::Mutex mu_;
  std::unique_ptr<CallbackQueueKeepalive> keepalive_ ABSL_GUARDED_BY(mu_);
};

// The gRPC target for `addresses`. INVALID_ARGUMENT as in Connection::Open.
absl::StatusOr<std::string> GrpcTarget(
    const std::vector<std::string>& addresses);

}  // namespace apium

#endif  // APIUM_CLIENT_CONNECTION_H_
