#ifndef APIUM_WORKER_STOP_SIGNALS_H_
#define APIUM_WORKER_STOP_SIGNALS_H_

#include <string>

namespace apium {

// SIGTERM and SIGINT for a process that leaves in two steps: the first asks it
// to drain, the second to leave at once. One per process, made in main before
// any other thread, because it blocks the two signals in this thread and those
// that come after.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Waits for the next signal or note, and says what it was: "SIGTERM",
  // "SIGINT", or "" for a note. Main thread only.
  std::string Wait();

  // Lets Wait return. Any thread; notes that were not waited for are one.
  void Note();

 private:
  int signal_fd_ = -1;
  int note_fd_ = -1;
};

}  // namespace apium

#endif  // APIUM_WORKER_STOP_SIGNALS_H_
