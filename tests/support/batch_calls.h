#ifndef APIUM_TESTS_SUPPORT_BATCH_CALLS_H_
#define APIUM_TESTS_SUPPORT_BATCH_CALLS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "broker/engine/batch.h"
#include "broker/engine/effects.h"
#include "tests/support/engine_harness.h"

namespace apium::broker {

// What a test says of a callback.
struct CallbackOptions {
  std::string type;  // empty: there is none
  std::string queue = "default";
  std::optional<absl::Duration> delay;
  std::optional<absl::Duration> expire_after;
};

struct BatchOptions {
  std::string description;
  CallbackOptions on_success = {};
  CallbackOptions on_complete = {};
  CallbackOptions on_first_failure = {};
  std::string namespace_name = "default";
};

// The calls of a harness that are about batches. A batch is told as
// "COMPLETE 1+1/3 complete first_failure": succeeded, unsuccessful, members,
// and the callbacks that were submitted; an error as by ReplyText. Within
// InOneTurn the answers say nothing.
class BatchCalls {
 public:
  // `harness` outlives it.
  explicit BatchCalls(EngineHarness* harness) : harness_(*harness) {}

  // With all three callbacks, of types "success", "complete" and "failure".
  std::string CreateFull(const std::string& id);
  std::string Create(const std::string& id, const BatchOptions& options = {});
  std::string Close(const std::string& id);
  std::string Get(const std::string& id);
  // Ids of all batches in pages of `page_size`, the pages separated by " | ".
  std::string List(uint32_t page_size);

  // The last answer about one batch.
  const BatchReply& last() const { return last_; }
  // Task of a callback, by the batch; empty: not submitted.
  std::string CallbackOf(const std::string& id, BatchEvent event);
  // Submits a task into the batch.
  std::string Join(const std::string& id, const std::string& task_id,
                   SubmitOptions options = {});

 private:
  template <typename CommandType>
  std::string Send(CommandType command);

  EngineHarness& harness_;
  BatchReply last_;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_BATCH_CALLS_H_
