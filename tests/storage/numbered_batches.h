#ifndef APIUM_TESTS_STORAGE_NUMBERED_BATCHES_H_
#define APIUM_TESTS_STORAGE_NUMBERED_BATCHES_H_

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace apium {

// Batch number `number` of a history that any reader can check: it has some
// rows of its own, counts up a row that all batches share, and deletes the rows
// of an older batch.
StoreBatch NumberedBatch(int number);

// The number of batches, 0 to n - 1, that the store holds: exactly them, and
// each of them whole. DATA_LOSS if it is anything else.
absl::StatusOr<int> FirstMissingBatch(const StoreReader& store);

}  // namespace apium

#endif  // APIUM_TESTS_STORAGE_NUMBERED_BATCHES_H_
