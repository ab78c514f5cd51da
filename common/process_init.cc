#include "common/process_init.h"

#include <grpc/support/log.h>
#include <signal.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/resource_limits.h"

namespace apium {
namespace {

// gRPC's own messages, in our format.
void LogGrpcMessage(gpr_log_func_args* message) {
  LogLevel level = LogLevel::kError;
  if (message->severity == GPR_LOG_SEVERITY_DEBUG) level = LogLevel::kDebug;
  if (message->severity == GPR_LOG_SEVERITY_INFO) level = LogLevel::kInfo;
  Log(level, message->message,
      {{"logger", "grpc"}, {"file", message->file}, {"line", message->line}});
}

}  // namespace

void InitProcess(const LogOptions& log_options) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  signal(SIGPIPE, SIG_IGN);
  InitLogging(log_options);
  gpr_set_log_function(&LogGrpcMessage);
  const absl::StatusOr<uint64_t> open_files = RaiseOpenFilesLimit();
  if (!open_files.ok()) {
    LogWarning("the limit of open files stays as it is",
               {{"error", open_files.status()}});
  }
}

}  // namespace apium
