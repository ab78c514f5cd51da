#ifndef APIUM_RESULTS_SERVICE_CALL_TABLE_H_
#define APIUM_RESULTS_SERVICE_CALL_TABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "results/command.h"
#include "results/effect_sink.h"
#include "results/service/open_call.h"

namespace apium::results {

// The open calls by id, and the messages that brokers' batches are parsed into.
// Hands what the core decided to the calls. Any thread.
class CallTable final : public EffectSink {
 public:
  CallId NewId() { return CallId{next_id_.fetch_add(1)}; }

  void Add(CallId id, std::shared_ptr<OpenCall> call) ABSL_LOCKS_EXCLUDED(mu_);
  // Removes the call; null if it is not there. Who takes a unary call answers
  // it.
  std::shared_ptr<OpenCall> Take(CallId id) ABSL_LOCKS_EXCLUDED(mu_);

  void Release(ResultEffects* effects) override ABSL_LOCKS_EXCLUDED(mu_);

  // Ends what is open: after a failure the core answers nothing any more.
  void EndAll(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  // A message to parse a batch into, used before if there is one: parsing into
  // it costs a third of parsing into a new one.
  std::unique_ptr<v1::PublishOutcomesRequest> NewMessage()
      ABSL_LOCKS_EXCLUDED(messages_mu_);

 private:
  std::shared_ptr<OpenCall> Find(CallId id) ABSL_LOCKS_EXCLUDED(mu_);
  void Recycle(
      std::vector<std::unique_ptr<v1::PublishOutcomesRequest>>* messages)
      ABSL_LOCKS_EXCLUDED(messages_mu_);

  std::atomic<uint64_t> next_id_{1};
  absl::Mutex mu_;
  absl::flat_hash_map<CallId, std::shared_ptr<OpenCall>> calls_
      ABSL_GUARDED_BY(mu_);

  absl::Mutex messages_mu_;
  std::vector<std::unique_ptr<v1::PublishOutcomesRequest>> messages_
      ABSL_GUARDED_BY(messages_mu_);
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_CALL_TABLE_H_
