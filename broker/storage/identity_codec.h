#ifndef APIUM_BROKER_STORAGE_IDENTITY_CODEC_H_
#define APIUM_BROKER_STORAGE_IDENTITY_CODEC_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/fingerprint.h"

// The values of the rows of unique keys and of requests: see
// docs/storage_format.md. Both begin with the time from which on they are void,
// so that compaction reads eight bytes.
namespace apium::broker {

// Later than any time: the row stays until it is deleted.
inline constexpr int64_t kKeepIdentity = std::numeric_limits<int64_t>::max();

// Who holds a unique key.
struct StoredUniqueKey {
  std::string holder;  // task id
  absl::Time holder_create_time;
  std::string
      next;  // id of the task that is BLOCKED by the holder; empty: none
  int64_t window_end_millis = kKeepIdentity;  // free from then on

  // A task that waits for the key keeps it alive beyond its window: else it
  // would be forgotten.
  int64_t keep_until_millis() const {
    return next.empty() ? window_end_millis : kKeepIdentity;
  }
};
std::string EncodeUniqueKey(const StoredUniqueKey& unique);
absl::StatusOr<StoredUniqueKey> DecodeUniqueKey(std::string_view value);

// What was answered to a request that carried an id.
struct StoredRequest {
  struct Answer {
    std::string task_id;
    absl::Time create_time;
    bool minted = false;
    bool attached = false;
    uint32_t copies = 0;  // further tasks that routing made of it
  };
  Fingerprint fingerprint{};    // of what was asked for
  std::vector<Answer> answers;  // one for each task that it asked for
  int64_t keep_until_millis = kKeepIdentity;
};
std::string EncodeRequest(const StoredRequest& request);
absl::StatusOr<StoredRequest> DecodeRequest(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_IDENTITY_CODEC_H_
