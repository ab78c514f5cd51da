#ifndef APIUM_STORAGE_ROCKSDB_LOG_CHECK_H_
#define APIUM_STORAGE_ROCKSDB_LOG_CHECK_H_

#include <string>

#include "absl/status/status.h"

namespace apium {

// Looks in a file of RocksDB's log format (a write-ahead log or a manifest) for
// damage that RocksDB takes for the end that a crash has left, and then opens
// the store without the records behind it, some of which were synced:
//
//   - a changed length that reaches past the end of the file
//   - a changed type that marks the record as one of a recycled log (the store
//     recycles none)
//   - zeros where records were, with further records behind them
//
// What a crash does leave is accepted: a last record that is cut off at any
// byte, or zeros up to the end. Everything else RocksDB's own checksums find.
// Reads the file once, without computing checksums but for a cut-off record.
//
// DATA_LOSS names the file and the place. UNAVAILABLE: the file cannot be read.
absl::Status CheckRocksDbLog(const std::string& path);

}  // namespace apium

#endif  // APIUM_STORAGE_ROCKSDB_LOG_CHECK_H_
