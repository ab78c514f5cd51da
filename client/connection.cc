#include "client/connection.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "absl/strings/str_join.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/listen_address.h"
#include "common/names.h"
#include "common/rpc/callback_queue_keepalive.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "common/version.h"

namespace apium {
namespace {

bool IsTarget(std::string_view address) {
  return address.find("://") != std::string_view::npos ||
         address.starts_with("unix:") || address.starts_with("dns:") ||
         address.starts_with("ipv4:") || address.starts_with("ipv6:");
}

absl::Status ValidateHostPort(std::string_view address) {
  const absl::StatusOr<HostPort> parsed = ParseHostPort(address);
  if (parsed.ok() && !parsed->host.empty() && parsed->port > 0) {
    return absl::OkStatus();
  }
  return InvalidField(
      "address",
      StrCat(QuoteForMessage(address),
             " is not host:port with a port from 1 to 65535, nor a gRPC target "
             "such as dns:///host:port or unix:/path"));
}

bool IsIpv4(std::string_view address) {
  return address.find_first_not_of("0123456789.:") == std::string_view::npos;
}

absl::Status ValidateOptions(const ClientOptions& options) {
  APIUM_RETURN_IF_ERROR(ValidateNamespace("namespace", options.namespace_name));
  if (options.deadline <= absl::ZeroDuration()) {
    return InvalidField("deadline",
                        StrCat(absl::FormatDuration(options.deadline),
                               " is not more than zero"));
  }
  if (options.keepalive < kKeepalivePingPermitted) {
    return InvalidField("keepalive",
                        StrCat(absl::FormatDuration(options.keepalive),
                               " is less than what servers permit, ",
                               absl::FormatDuration(kKeepalivePingPermitted)));
  }
  if (options.retry.attempts_max < 0) {
    return InvalidField("retry.attempts_max",
                        StrCat(options.retry.attempts_max, " is negative"));
  }
  return absl::OkStatus();
}

grpc::ChannelArguments ChannelArgumentsFor(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(StrCat(options.user_agent,
                                      options.user_agent.empty() ? "" : " ",
                                      "apium-cpp/", std::string(kVersion)));
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kGrpcMessageBytesMax));
  arguments.SetMaxSendMessageSize(static_cast<int>(kGrpcMessageBytesMax));
  arguments.SetInt(
      GRPC_ARG_KEEPALIVE_TIME_MS,
      static_cast<int>(absl::ToInt64Milliseconds(options.keepalive)));
  arguments.SetInt(
      GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
      static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout)));
  // Waits and idle streams send no data: without this, gRPC stops its pings
  // after two.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Reconnect quickly: a broker that is restarted serves again within seconds.
  // gRPC's own bounds are 1 s and 120 s. (MIN is the time that one attempt to
  // connect gets.)
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Retries are decided here, where the reasons are known; gRPC's own would
  // multiply them.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return arguments;
}

}  // namespace

absl::StatusOr<std::string> GrpcTarget(
    const std::vector<std::string>& addresses) {
  if (addresses.empty())
    return InvalidField("addresses", "is empty; give at least one host:port");
  if (addresses.size() == 1) {
    if (IsTarget(addresses[0])) return addresses[0];
    APIUM_RETURN_IF_ERROR(ValidateHostPort(addresses[0]));
    return addresses[0];
  }
  bool ipv4 = true;
  bool ipv6 = true;
  for (const std::string& address : addresses) {
    if (!IsTarget(address)) APIUM_RETURN_IF_ERROR(ValidateHostPort(address));
    ipv4 = ipv4 && !IsTarget(address) && IsIpv4(address);
    ipv6 = ipv6 && !IsTarget(address) && address.front() == '[';
  }
  if (!ipv4 && !ipv6) {
    return InvalidField("addresses",
                        "several addresses must all be IPv4 or all IPv6 with "
                        "ports; for a name that stands for several "
                        "hosts give the one target dns:///name:port");
  }
  return StrCat(ipv4 ? "ipv4:" : "ipv6:", absl::StrJoin(addresses, ","));
}

absl::StatusOr<std::shared_ptr<Connection>> Connection::Open(
    ClientOptions options) {
  APIUM_ASSIGN_OR_RETURN(std::string target, GrpcTarget(options.addresses));
  APIUM_RETURN_IF_ERROR(ValidateOptions(options));
  std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      target, grpc::InsecureChannelCredentials(), ChannelArgumentsFor(options));
  return std::shared_ptr<Connection>(
      new Connection(std::move(channel), std::move(options)));
}

absl::StatusOr<std::shared_ptr<Connection>> Connection::Over(
    std::shared_ptr<grpc::Channel> channel, ClientOptions options) {
  APIUM_RETURN_IF_ERROR(ValidateOptions(options));
  return std::shared_ptr<Connection>(
      new Connection(std::move(channel), std::move(options)));
}

Connection::Connection(std::shared_ptr<grpc::Channel> channel,
                       ClientOptions options)
    : options_(std::move(options)), channel_(std::move(channel)) {}

Connection::~Connection() = default;

void Connection::KeepCallbacksAwake() {
  absl::MutexLock lock(&mu_);
  if (keepalive_ == nullptr)
    keepalive_ = std::make_unique<CallbackQueueKeepalive>();
}

}  // namespace apium
