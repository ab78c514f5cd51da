#include "tests/storage/numbered_batches.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace apium {
namespace {

constexpr int kRowsPerBatch = 5;
constexpr int kLiveBatches = 40;

std::string Key(int number, int row) {
  return absl::StrFormat("row/%08d/%d", number, row);
}

std::string Value(int number, int row) {
  return absl::StrCat("value ", number, " ", row, " ",
                      std::string(20 + number % 50, 'v'));
}

}  // namespace

StoreBatch NumberedBatch(int number) {
  StoreBatch batch;
  for (int row = 0; row < kRowsPerBatch; ++row) {
    batch.Put(Key(number, row), Value(number, row));
  }
  const int old = number - kLiveBatches;
  for (int row = 0; old >= 0 && row < kRowsPerBatch; ++row) {
    batch.Delete(Key(old, row));
  }
  batch.Put("count", absl::StrCat(number + 1));
  return batch;
}

absl::StatusOr<int> FirstMissingBatch(const StoreReader& store) {
  std::string text;
  absl::Status status = store.Get("count", &text);
  int count = 0;
  if (status.ok() && !absl::SimpleAtoi(text, &count)) {
    return absl::DataLossError("count is " + text);
  }
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  std::map<std::string, std::string> expected;
  for (int n = std::max(0, count - kLiveBatches); n < count; ++n) {
    for (int row = 0; row < kRowsPerBatch; ++row) {
      expected[Key(n, row)] = Value(n, row);
    }
  }
  std::map<std::string, std::string> found;
  status = store.Scan("row/", "row0",
                      [&](std::string_view key, std::string_view value) {
                        found.emplace(key, value);
                        return true;
                      });
  if (!status.ok()) return status;
  if (found != expected) {
    return absl::DataLossError(absl::StrCat("rows do not fit the count ", count,
                                            ": ", found.size(), " instead of ",
                                            expected.size()));
  }
  // The same by key, which goes by way of the filters.
  for (const auto& [key, value] : expected) {
    status = store.Get(key, &text);
    if (absl::IsNotFound(status)) {
      return absl::DataLossError("a Get does not find " + key);
    }
    if (!status.ok()) return status;
    if (text != value) return absl::DataLossError("another value: " + key);
  }
  return count;
}

}  // namespace apium
