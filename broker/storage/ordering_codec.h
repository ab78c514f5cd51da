#ifndef APIUM_BROKER_STORAGE_ORDERING_CODEC_H_
#define APIUM_BROKER_STORAGE_ORDERING_CODEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

// The value of the row of an ordering key: see docs/storage_format.md.
namespace apium::broker {

// A line of tasks with the same ordering key. Its members have rows of their
// own.
struct StoredOrderingLine {
  std::string head;           // id of the task that may run; empty: none may
  uint64_t waiting = 0;       // members behind it
  uint64_t first_ticket = 0;  // no member's ticket is below
  bool blocked = false;       // `failed` ended so, and nobody goes on
  std::string failed;         // with `blocked` or `fail_limit`: a task's id
  absl::Time block_time = absl::InfinitePast();  // with `blocked`
  uint64_t fail_limit = 0;  // members below are to fail; 0: none

  // Whether nobody is in it, and nothing hinders whoever comes.
  bool empty() const {
    return head.empty() && waiting == 0 && !blocked && fail_limit == 0;
  }
  // Whether the first member is to become the head.
  bool wants_head() const {
    return head.empty() && waiting > 0 && !blocked && fail_limit == 0;
  }
};
std::string EncodeOrderingLine(const StoredOrderingLine& line);
absl::StatusOr<StoredOrderingLine> DecodeOrderingLine(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_ORDERING_CODEC_H_
