#ifndef APIUM_RESULTS_SERVICE_WATCH_STREAM_H_
#define APIUM_RESULTS_SERVICE_WATCH_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "apium/v1/result_service.pb.h"
#include "results/command.h"
#include "results/mailbox.h"
#include "results/service/call_table.h"
#include "results/service/open_call.h"

namespace apium::results {

// A reader's WatchResults stream. What waits here is bounded by the core, which
// counts what it pushed and what was taken (WatchTaken).
class WatchStream final
    : public grpc::ServerWriteReactor<v1::WatchResultsResponse>,
      public OpenCall {
 public:
  // `table` and `mailbox` outlive the stream.
  WatchStream(CallTable* table, Mailbox* mailbox);

  CallId id() const { return id_; }
  // Once; `begin` names id(), `self` is this.
  void Start(std::shared_ptr<WatchStream> self, WatchBegin begin);

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override;
  void OnDone() override;

  void OnPush(WatchPush push) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(const absl::Status& status) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Next {
    const v1::WatchResultsResponse* write = nullptr;
    std::optional<absl::Status> finish;
    size_t taken_bytes = 0;  // to tell the core
  };
  Next Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Do(const Next& next);

  CallTable* const table_;
  Mailbox* const mailbox_;
  const CallId id_;
  std::shared_ptr<WatchStream> self_;

  absl::Mutex mu_;
  // The first one is being written while writing_; a deque, so that it stays
  // where it is.
  std::deque<WatchPush> outbound_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  size_t taken_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_WATCH_STREAM_H_
