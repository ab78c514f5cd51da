#ifndef APIUM_BROKER_STORAGE_END_COUNTS_CODEC_H_
#define APIUM_BROKER_STORAGE_END_COUNTS_CODEC_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "broker/engine/task.h"

namespace apium::broker {

// The value of an ends row:
//   ends := succeeded:64 failed:64 cancelled:64 expired:64 dead_lettered:64
// Big endian. A later version may add numbers behind these.
std::string EncodeEndCounts(const EndCounts& counts);
// DATA_LOSS for what no encoder writes.
absl::StatusOr<EndCounts> DecodeEndCounts(std::string_view value);

}  // namespace apium::broker

#endif  // APIUM_BROKER_STORAGE_END_COUNTS_CODEC_H_
