#ifndef APIUM_EXAMPLES_COUNT_WORDS_PROGRESS_H_
#define APIUM_EXAMPLES_COUNT_WORDS_PROGRESS_H_

#include <cstddef>
#include <ostream>
#include <string>

namespace apium {

// How far a job is: a bar that is drawn over itself on a terminal, a line for
// every tenth elsewhere. One thread.
class Progress {
 public:
  enum class Style { kBar, kLines };

  // `out` must outlive the progress. `total` > 0.
  Progress(std::ostream* out, Style style, size_t total);

  // `done` of the total, never less than before. Draws only what looks
  // different from the last time.
  void Update(size_t done, size_t failed);
  // Ends the bar's line.
  void Finish();

 private:
  std::string Bar(size_t done, size_t failed) const;

  std::ostream* const out_;
  const Style style_;
  const size_t total_;
  std::string drawn_;
  size_t tenths_ = 0;
};

}  // namespace apium

#endif  // APIUM_EXAMPLES_COUNT_WORDS_PROGRESS_H_
