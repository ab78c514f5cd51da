// Dead letters: tasks that used up their attempts.
//
//   DeadLetterClient letters(connection, "mail");
//   for (const v1::DeadLetter& letter : letters.List({})->dead_letters()) ...
//   letters.StartRedrive({.max_per_second = 10});

#ifndef APIUM_CLIENT_DEAD_LETTER_CLIENT_H_
#define APIUM_CLIENT_DEAD_LETTER_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apium/v1/dead_letter_service.pb.h"

namespace apium {

class Connection;

// What a redrive of many is to do. See StartRedriveRequest in
// apium/v1/dead_letter_service.proto.
struct RedriveOptions {
  v1::DeadLetterFilter filter;
  double max_per_second = 0;  // 0: no limit
  std::string target_queue;   // empty: the one that they came from
  bool dry_run = false;
};

// The dead letters of one queue: DeadLetterService of
// apium/v1/dead_letter_service.proto, whose errors these are. Blocks; any
// thread. Calls that are idempotent are retried within the client's deadline.
class DeadLetterClient {
 public:
  // An empty `queue` is the default one.
  DeadLetterClient(std::shared_ptr<Connection> connection, std::string queue);
  ~DeadLetterClient();

  // One page; `page_size` 0 takes the server's default. Empty token: the first
  // page.
  absl::StatusOr<v1::ListDeadLettersResponse> List(
      const v1::DeadLetterFilter& filter, uint32_t page_size = 0,
      std::string_view page_token = "");
  absl::StatusOr<v1::DeadLetter> Get(std::string_view task_id);
  // Submits one again; namespace, queue and task id of `edits` are filled in.
  // The id of the new task.
  absl::StatusOr<std::string> Redrive(std::string_view task_id,
                                      v1::RedriveDeadLetterRequest edits = {});
  absl::Status Discard(std::string_view task_id);
  // How many are gone.
  absl::StatusOr<uint64_t> Purge();
  absl::StatusOr<v1::Redrive> StartRedrive(const RedriveOptions& options);
  absl::StatusOr<v1::Redrive> GetRedrive();
  absl::StatusOr<v1::Redrive> CancelRedrive();

 private:
  struct Rpc;
  template <typename Request>
  Request NewRequest() const;

  const std::shared_ptr<Connection> connection_;
  const std::string queue_;
  const std::unique_ptr<Rpc> rpc_;
};

}  // namespace apium

#endif  // APIUM_CLIENT_DEAD_LETTER_CLIENT_H_
