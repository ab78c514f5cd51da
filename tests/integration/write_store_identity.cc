// Writes into a store which program, and which version of its format, wrote it.
// Usage: write_store_identity FOLDER APPLICATION FORMAT_VERSION

#include <cstdlib>
#include <iostream>

#include "absl/strings/numbers.h"
#include "storage/rocksdb_store.h"
#include "storage/store_identity.h"

int main(int argc, char** argv) {
  uint32_t version = 0;
  if (argc != 4 || !absl::SimpleAtoi(argv[3], &version)) {
    std::cerr << "usage: write_store_identity FOLDER APPLICATION VERSION\n";
    return 2;
  }
  auto store = apium::RocksDbStore::Open({.path = argv[1]});
  absl::Status status = store.status();
  if (status.ok()) {
    status = apium::CheckOrWriteIdentity(
        **store,
        {.name = argv[2], .format_version = version, .readable_versions = {1}});
  }
  if (status.ok()) return EXIT_SUCCESS;
  std::cerr << status << "\n";
  return EXIT_FAILURE;
}
