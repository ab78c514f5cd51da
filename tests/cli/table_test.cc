#include "cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace apium::cli {
namespace {

TEST(TableTest, ColumnsAreAlignedAndNothingTrails) {
  Table table({{.name = "NAME"},
               {.name = "READY", .align = Align::kRight},
               {.name = "STATE"}});
  table.AddRow({"mail", "7", "open"});
  table.AddRow({"a-longer-name", "123456", ""});
  std::ostringstream out;
  table.Print(&out, /*color=*/false);
  EXPECT_EQ(out.str(),
            "NAME            READY  STATE\n"
            "mail                7  open\n"
            "a-longer-name  123456  -\n");
}

TEST(TableTest, WithoutRowsTheHeadingStays) {
  std::ostringstream out;
  Table({{.name = "NAME"}, {.name = "READY", .align = Align::kRight}})
      .Print(&out, false);
  EXPECT_EQ(out.str(), "NAME  READY\n");
}

TEST(TableTest, ColorsDoNotCountAsWidth) {
  Table table({{.name = "A"}, {.name = "B"}});
  table.AddRow({Cell("ok", Style::kGreen), "x"});
  table.AddRow({"long", "y"});
  std::ostringstream out;
  table.Print(&out, /*color=*/true);
  EXPECT_EQ(out.str(),
            "\x1b[1mA\x1b[0m     \x1b[1mB\x1b[0m\n"
            "\x1b[32mok\x1b[0m    x\n"
            "long  y\n");
}

TEST(TableTest, UmlautsAreOneColumnWide) {
  EXPECT_EQ(DisplayWidth("\xC3\xA4\xE2\x82\xAC."), 3u);
}

TEST(TableTest, ControlCharactersNeverReachTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\nc\td\x7f"), "a\\x1b[2Jb\\nc\\td\\x7f");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "2J"),
            "\\x9b2J");
  EXPECT_EQ(Printable("\xC3\xA4"), "\xC3\xA4");
}

TEST(DetailsTest, EmptyValuesAreLeftOut) {
  Details details;
  details.Add("ID", "x");
  details.Add("Worker", "");
  details.Add("Priority", "100");
  std::ostringstream out;
  details.Print(&out, false);
  EXPECT_EQ(out.str(),
            "ID:        x\n"
            "Priority:  100\n");
}

}  // namespace
}  // namespace apium::cli
