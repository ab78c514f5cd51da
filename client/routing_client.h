// Exchanges, bindings and route rules: which queue a task goes to.
//
//   RoutingClient routing(connection);
//   v1::Exchange exchange;
//   exchange.set_name("events");
//   exchange.set_type(v1::EXCHANGE_TYPE_TOPIC);
//   routing.CreateExchange(exchange);

#ifndef APIUM_CLIENT_ROUTING_CLIENT_H_
#define APIUM_CLIENT_ROUTING_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/routing_service.pb.h"

namespace apium {

class Connection;

// RoutingService of apium/v1/routing_service.proto, whose errors these are.
// Blocks; any thread. What is idempotent is retried within the client's
// deadline.
class RoutingClient {
 public:
  explicit RoutingClient(std::shared_ptr<Connection> connection);
  ~RoutingClient();

  absl::StatusOr<v1::Exchange> CreateExchange(v1::Exchange exchange);
  absl::StatusOr<v1::Exchange> GetExchange(std::string_view name);
  // One page; `page_size` 0 takes the server's default. Empty token: the first
  // page.
  absl::StatusOr<v1::ListExchangesResponse> ListExchanges(
      uint32_t page_size = 0, std::string_view page_token = "");
  // Takes over the description and the alternate exchange. With an etag, only
  // if the exchange still has it. Not retried.
  absl::StatusOr<v1::Exchange> UpdateExchange(v1::Exchange exchange);
  // Not retried: NOT_FOUND could mean the attempt before.
  absl::Status DeleteExchange(std::string_view name);

  absl::StatusOr<v1::Binding> CreateBinding(v1::Binding binding);
  // As DeleteExchange.
  absl::Status DeleteBinding(v1::Binding binding);
  // Of one exchange; empty: of all. Pages as those of ListExchanges.
  absl::StatusOr<v1::ListBindingsResponse> ListBindings(
      std::string_view exchange = "", uint32_t page_size = 0,
      std::string_view page_token = "");

  // Replaces all rules; with an etag, only if they still have it (then not
  // retried). The new etag.
  absl::StatusOr<std::string> SetRouteRules(
      const std::vector<v1::RouteRule>& rules, std::string_view etag = "");
  absl::StatusOr<v1::GetRouteRulesResponse> GetRouteRules();
  // The queues that a submit would go to, by name. The request's namespace is
  // filled in.
  absl::StatusOr<std::vector<std::string>> Resolve(
      v1::ResolveRouteRequest request);

 private:
  struct Rpc;
  template <typename Request>
  Request NewRequest() const;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_ROUTING_CLIENT_H_
