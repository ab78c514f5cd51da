// Columns of text, aligned.

#ifndef APIUM_CLI_TABLE_H_
#define APIUM_CLI_TABLE_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace apium::cli {

enum class Style { kPlain, kBold, kGreen, kRed, kYellow, kDim };

// `text` with the terminal's codes for `style` around it, if `color`.
std::string Styled(std::string_view text, Style style, bool color);

// `text` with control characters escaped (tabs and line ends, too), so that
// what comes from a server can neither break the layout nor command the
// terminal.
std::string Printable(std::string_view text);

// Columns of a terminal that UTF-8 `text` fills: one for each code point.
size_t DisplayWidth(std::string_view text);

enum class Align { kLeft, kRight };

struct Column {
  std::string name;
  Align align = Align::kLeft;
};

struct Cell {
  Cell(std::string text,
       Style style =
           Style::kPlain)  // NOLINT: implicit, so that rows read as data
      : text(std::move(text)), style(style) {}
  Cell(const char* text) : text(text) {}  // NOLINT

  std::string text;
  Style style = Style::kPlain;
};

// Rows under a heading, two spaces between columns, no lines: easy to read, and
// to cut and grep.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns (APIUM_CHECK). Texts are made Printable; an empty
  // one shows as "-".
  void AddRow(std::vector<Cell> cells);
  void Print(std::ostream* out, bool color) const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// One thing's properties, a line each: "Name:  value". What is empty is left
// out.
class Details {
 public:
  void Add(std::string name, Cell value);
  void Print(std::ostream* out, bool color) const;

 private:
  struct Line {
    std::string name;
    Cell value;
  };
  std::vector<Line> lines_;
};

}  // namespace apium::cli

#endif  // APIUM_CLI_TABLE_H_
