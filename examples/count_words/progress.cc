#include "examples/count_words/progress.h"

#include "common/strings.h"

namespace apium {
namespace {

constexpr size_t kBarCells = 40;

}  // namespace

Progress::Progress(std::ostream* out, Style style, size_t total)
    : out_(out), style_(style), total_(total) {}

void Progress::Update(size_t done, size_t failed) {
  if (style_ == Style::kBar) {
    std::string bar = Bar(done, failed);
    if (bar == drawn_) return;
    // Back to the start of the line, and clear what the last bar had more of.
    *out_ << '\r' << bar << "\x1b[K" << std::flush;
    drawn_ = std::move(bar);
    return;
  }
  const size_t tenths = done * 10 / total_;
  if (tenths <= tenths_) return;
  tenths_ = tenths;
  *out_ << done << " of " << total_ << " tasks done\n" << std::flush;
}

void Progress::Finish() {
  if (style_ == Style::kBar && !drawn_.empty()) *out_ << '\n' << std::flush;
  drawn_.clear();
}

std::string Progress::Bar(size_t done, size_t failed) const {
  const size_t cells = done * kBarCells / total_;
  return StrCat("[", std::string(cells, '#'),
                std::string(kBarCells - cells, '.'), "] ", done, "/", total_,
                " tasks, ", done * 100 / total_, " %",
                failed == 0 ? "" : StrCat(", ", failed, " failed"));
}

}  // namespace apium
