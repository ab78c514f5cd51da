#ifndef APIUM_TESTS_CRASH_TASK_MIX_H_
#define APIUM_TESTS_CRASH_TASK_MIX_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "apium/v1/task.pb.h"

namespace apium::crash {

// Makes up tasks of all kinds, with ids of its own. Same seed, same tasks.
class TaskMix {
 public:
  // Ids are "<prefix>-<number>".
  TaskMix(std::string prefix, uint64_t seed, bool builtin_tasks)
      : prefix_(std::move(prefix)),
        random_(seed),
        builtin_tasks_(builtin_tasks) {}

  v1::TaskSpec Next();
  // True once in `n` calls.
  bool OneIn(uint32_t n) { return Below(n) == 0; }
  // Uniform in [0, limit).
  uint32_t Below(uint32_t limit);

 private:
  const std::string prefix_;
  std::mt19937_64 random_;
  const bool builtin_tasks_;
  size_t made_ = 0;
};

}  // namespace apium::crash

#endif  // APIUM_TESTS_CRASH_TASK_MIX_H_
