#include "cli/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/strings.h"

namespace apium::cli {
namespace {

std::string_view CodeOf(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kGreen:
      return "\x1b[32m";
    case Style::kRed:
      return "\x1b[31m";
    case Style::kYellow:
      return "\x1b[33m";
    case Style::kDim:
      return "\x1b[2m";
  }
  return "";
}

// `cell` filled up to `width`; the last column of a row is not, unless it is
// aligned to the right.
std::string Padded(const Cell& cell, size_t width, Align align, bool last,
                   bool color) {
  const size_t shown = DisplayWidth(cell.text);
  const std::string padding(width > shown ? width - shown : 0, ' ');
  const std::string text = Styled(cell.text, cell.style, color);
  if (align == Align::kRight) return StrCat(padding, text);
  return last ? text : StrCat(text, padding);
}

}  // namespace

std::string Styled(std::string_view text, Style style, bool color) {
  if (!color || style == Style::kPlain) return std::string(text);
  return StrCat(CodeOf(style), text, "\x1b[0m");
}

std::string Printable(std::string_view text) {
  std::string printable;
  printable.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    const auto next =
        i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : '\0';
    if (byte == 0xC2 && next >= 0x80 &&
        next < 0xA0) {  // U+0080 to U+009F, which command terminals as well
      printable += absl::StrFormat("\\x%02x", next);
      ++i;
    } else if (c == '\n') {
      printable += "\\n";
    } else if (c == '\t') {
      printable += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      printable += absl::StrFormat("\\x%02x", byte);
    } else {
      printable += c;
    }
  }
  return printable;
}

size_t DisplayWidth(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) !=
               0x80;  // not a continuation byte
      }));
}

void Table::AddRow(std::vector<Cell> cells) {
  APIUM_CHECK(cells.size() == columns_.size());
  for (Cell& cell : cells)
    cell.text = cell.text.empty() ? "-" : Printable(cell.text);
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream* out, bool color) const {
  std::vector<Cell> heading;
  for (const Column& column : columns_)
    heading.emplace_back(column.name, Style::kBold);
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(DisplayWidth(columns_[i].name));
    for (const std::vector<Cell>& row : rows_)
      widths[i] = std::max(widths[i], DisplayWidth(row[i].text));
  }
  const auto print_row = [&](const std::vector<Cell>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) *out << "  ";
      *out << Padded(row[i], widths[i], columns_[i].align, i + 1 == row.size(),
                     color);
    }
    *out << '\n';
  };
  print_row(heading);
  for (const std::vector<Cell>& row : rows_) print_row(row);
}

void Details::Add(std::string name, Cell value) {
  if (value.text.empty()) return;
  value.text = Printable(value.text);
  lines_.push_back({.name = std::move(name), .value = std::move(value)});
}

void Details::Print(std::ostream* out, bool color) const {
  size_t width = 0;
  for (const Line& line : lines_)
    width = std::max(width, DisplayWidth(line.name));
  for (const Line& line : lines_) {
    *out << Styled(StrCat(line.name, ":"), Style::kBold, color)
         << std::string(width - DisplayWidth(line.name) + 2, ' ')
         << Styled(line.value.text, line.value.style, color) << '\n';
  }
}

}  // namespace apium::cli
