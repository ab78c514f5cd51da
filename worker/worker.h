// A worker in this process: registers functions as tasks, connects to brokers,
// runs what they deliver.
//
//   apium::Worker worker({.brokers = {"127.0.0.1:7450"}, .slots = 8});
//   worker.Register("math.add", [](int64_t a, int64_t b) { return a + b; });
//   absl::Status status = worker.Start();
//   ...
//   worker.Drain(absl::Seconds(30));  // finish what runs, hand back the rest
//
// See worker/task_handler.h for the shapes of functions, worker/task_error.h
// for what they may say when they fail.

#ifndef APIUM_WORKER_WORKER_H_
#define APIUM_WORKER_WORKER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "worker/task_handler.h"
#include "worker/worker_options.h"

namespace prometheus {
class Collectable;
}

namespace apium {

class Worker {
 public:
  explicit Worker(WorkerOptions options);
  // Stop().
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before Start. INVALID_ARGUMENT for a malformed type, ALREADY_EXISTS for a
  // second handler of a type.
  template <typename F>
  absl::Status Register(std::string type, F function,
                        TaskOptions options = {}) {
    return RegisterHandler(
        std::move(type),
        MakeTaskHandler(std::move(function), std::move(options)));
  }
  absl::Status RegisterHandler(std::string type, TaskHandler handler);

  // Checks the options, then connects in the background: a broker that is not
  // there is tried again until it is. Once. INVALID_ARGUMENT names the option
  // that is wrong; FAILED_PRECONDITION: no task type is registered.
  absl::Status Start();

  // Takes no more tasks, hands back those that wait here for a slot, waits at
  // most `grace` for those that run, then cancels them and hands back what does
  // not stop, and waits a moment for the brokers' acknowledgements. OK: nothing
  // is left. DEADLINE_EXCEEDED says what is. May be called again, with a
  // shorter grace, while it runs. Any thread.
  absl::Status Drain(absl::Duration grace);

  // Drain without grace, then ends the streams. A handler that ignores its
  // cancellation may still run: a process that must end now may exit after
  // this.
  void Close();
  // Close, then joins all threads; such a handler keeps it waiting.
  void Stop();

  // True while at least one broker has welcomed this worker. Any thread.
  bool connected() const;
  // Waits for that, at most `timeout`.
  bool WaitUntilConnected(absl::Duration timeout) const;
  // OK if connected, else UNAVAILABLE with each broker and its last error. Any
  // thread.
  absl::Status ConnectionStatus() const;

  // Attempts that run now; not during Stop. Any thread.
  uint32_t busy_slots() const;
  // After the defaults were filled in.
  const std::string& worker_id() const;
  uint32_t slots() const;

  // For AdminServer or a registry of your own. Lives as long as anybody holds
  // it.
  std::shared_ptr<prometheus::Collectable> metrics() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace apium

#endif  // APIUM_WORKER_WORKER_H_
