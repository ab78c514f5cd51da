// Batches: groups of tasks whose common end is noticed.
//
//   BatchClient batches(connection);
//   absl::StatusOr<v1::Batch> batch =
//       batches.Create({.on_success = SubmitOptions{.type = "report.send"}});
//   client.Submit({.type = "report.part", .batch_id = batch->batch_id()});
//   batches.Close(batch->batch_id());

#ifndef APIUM_CLIENT_BATCH_CLIENT_H_
#define APIUM_CLIENT_BATCH_CLIENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "apium/v1/batch_service.pb.h"
#include "client/submit_options.h"

namespace apium {

class Connection;

// What a batch is made of. See Batch in apium/v1/batch_service.proto.
struct BatchOptions {
  // Empty: the client mints a UUIDv7, so that its retries do not make two.
  std::string batch_id;
  std::string description;
  // Unset: nothing is submitted.
  std::optional<SubmitOptions> on_success;
  std::optional<SubmitOptions> on_complete;
  std::optional<SubmitOptions> on_first_failure;
};

// BatchService of apium/v1/batch_service.proto, whose errors these are. Blocks;
// any thread. Every call is idempotent and is retried within the client's
// deadline.
class BatchClient {
 public:
  explicit BatchClient(std::shared_ptr<Connection> connection);
  ~BatchClient();

  absl::StatusOr<v1::Batch> Create(BatchOptions options);
  absl::StatusOr<v1::Batch> Create(v1::Batch batch);
  // Nobody joins any more.
  absl::StatusOr<v1::Batch> Close(std::string_view batch_id);
  absl::StatusOr<v1::Batch> Get(std::string_view batch_id);
  // One page; `page_size` 0 takes the server's default. Empty token: the first
  // page.
  absl::StatusOr<v1::ListBatchesResponse> List(
      uint32_t page_size = 0, std::string_view page_token = "");

 private:
  struct Rpc;

  const std::shared_ptr<Connection> connection_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_BATCH_CLIENT_H_
