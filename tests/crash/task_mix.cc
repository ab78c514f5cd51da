#include "tests/crash/task_mix.h"

#include <utility>

#include "client/json_payload.h"
#include "common/strings.h"
#include "tests/crash/platform.h"

namespace apium::crash {
namespace {

void SetMillis(uint32_t millis, google::protobuf::Duration* duration) {
  duration->set_seconds(millis / 1000);
  duration->set_nanos(static_cast<int32_t>(millis % 1000) * 1'000'000);
}

}  // namespace

uint32_t TaskMix::Below(uint32_t limit) {
  return std::uniform_int_distribution<uint32_t>(0, limit - 1)(random_);
}

v1::TaskSpec TaskMix::Next() {
  v1::TaskSpec spec;
  spec.set_task_id(StrCat(prefix_, "-", ++made_));
  if (builtin_tasks_ && OneIn(20)) {
    spec.set_type("apium.echo");
    spec.set_queue(Platform::kBuiltinQueue);
    *spec.mutable_payload() = JsonArguments(spec.task_id());
    return spec;
  }
  spec.set_type("crash.work");
  spec.set_queue(Platform::kQueue);
  v1::RetryPolicy& retry = *spec.mutable_retry_policy();
  SetMillis(5 + Below(40), retry.mutable_initial_delay());

  // See history_worker.cc.
  const uint32_t run_ms = OneIn(10) ? 50 + Below(100) : Below(25);
  uint32_t failures = 0;
  bool final_failure = false;
  if (OneIn(5)) failures = 1 + Below(2);
  if (OneIn(20)) {  // fails for good
    failures = 100;
    final_failure = OneIn(2);
    retry.set_max_attempts(1 + Below(3));
  }
  *spec.mutable_payload() =
      JsonArguments(run_ms, failures, final_failure, OneIn(2));

  if (OneIn(20)) retry.set_max_crashes(1);
  if (OneIn(3)) spec.set_priority(Below(4) * 85);
  if (OneIn(8)) SetMillis(Below(500), spec.mutable_delay());
  if (OneIn(12)) SetMillis(1 + Below(600), spec.mutable_expire_after());
  return spec;
}

}  // namespace apium::crash
