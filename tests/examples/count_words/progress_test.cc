#include "examples/count_words/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace apium {
namespace {

TEST(ProgressTest, ElsewhereThanOnATerminalEveryTenthIsALine) {
  std::ostringstream out;
  Progress progress(&out, Progress::Style::kLines, 40);
  for (size_t done = 0; done <= 40; ++done) progress.Update(done, 0);
  progress.Finish();
  EXPECT_EQ(out.str(),
            "4 of 40 tasks done\n8 of 40 tasks done\n12 of 40 tasks done\n16 "
            "of 40 tasks done\n20 of 40 tasks done\n"
            "24 of 40 tasks done\n28 of 40 tasks done\n32 of 40 tasks done\n36 "
            "of 40 tasks done\n40 of 40 tasks done\n");
}

TEST(ProgressTest, OnATerminalTheBarIsDrawnOverItself) {
  std::ostringstream out;
  Progress progress(&out, Progress::Style::kBar, 4);
  progress.Update(1, 0);
  progress.Update(1, 0);
  progress.Update(4, 2);
  progress.Finish();
  EXPECT_EQ(out.str(),
            "\r[##########..............................] 1/4 tasks, 25 %\x1b[K"
            "\r[########################################] 4/4 tasks, 100 %, 2 "
            "failed\x1b[K\n");
}

}  // namespace
}  // namespace apium
