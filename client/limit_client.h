// Limits: how many tasks run at a time, and how many start in a time.
//
//   LimitClient limits(connection);
//   v1::Limit limit;
//   limit.set_name("crm");
//   limit.set_type_pattern("crm.*");
//   limit.set_max_concurrency(10);
//   limits.Create(limit);

#ifndef APIUM_CLIENT_LIMIT_CLIENT_H_
#define APIUM_CLIENT_LIMIT_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "apium/v1/limit_service.pb.h"

namespace apium {

class Connection;

// LimitService of apium/v1/limit_service.proto, whose errors these are. Blocks;
// any thread. What is idempotent is retried within the client's deadline.
class LimitClient {
 public:
  explicit LimitClient(std::shared_ptr<Connection> connection);
  ~LimitClient();

  // Not retried: ALREADY_EXISTS could mean the attempt before.
  absl::StatusOr<v1::Limit> Create(v1::Limit limit);
  absl::StatusOr<v1::Limit> Get(std::string_view name);
  // One page; `page_size` 0 takes the server's default. Empty token: the first
  // page.
  absl::StatusOr<v1::ListLimitsResponse> List(uint32_t page_size = 0,
                                              std::string_view page_token = "");
  // Changes the fields in `paths`. With `limit.etag`, only if the limit still
  // has it: ABORTED / ETAG_MISMATCH. Not retried.
  absl::StatusOr<v1::Limit> Update(v1::Limit limit,
                                   const std::vector<std::string>& paths);
  // Not retried: NOT_FOUND could mean the attempt before.
  absl::Status Delete(std::string_view name);
  // What is used of a limit, by key. Pages as those of List.
  absl::StatusOr<v1::ListLimitUsageResponse> Usage(
      std::string_view limit, uint32_t page_size = 0,
      std::string_view page_token = "");
  // Holds up what the limit counts under `key` for this long from now on; zero
  // ends a pause.
  absl::StatusOr<v1::LimitUsage> PauseKey(std::string_view limit,
                                          std::string_view key,
                                          absl::Duration duration);

 private:
  struct Rpc;
  template <typename Request>
  Request NewRequest() const;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_LIMIT_CLIENT_H_
