// Another process on a store, for tests.
//
//   store_process open FOLDER         opens the store, prints how that went
//   store_process open_as UID FOLDER  the same as another user
//   store_process write FOLDER        writes batches for ever, and prints the
//                                     number of each one once it is synced

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/rocksdb_store.h"
#include "tests/storage/numbered_batches.h"

namespace apium {
namespace {

int Fail(const absl::Status& status) {
  std::cout << status.ToString() << std::endl;
  return 1;
}

int Open(const std::string& folder) {
  auto store = RocksDbStore::Open({.path = folder});
  std::cout << store.status().ToString() << std::endl;
  return 0;
}

// One thread writes, another one syncs: the broker's way.
int WriteForEver(const std::string& folder) {
  auto opened = RocksDbStore::Open(
      {.path = folder, .memtable_bytes = 64 << 10, .max_memtables = 3});
  if (!opened.ok()) return Fail(opened.status());
  RocksDbStore& store = **opened;
  auto first = FirstMissingBatch(store);
  if (!first.ok()) return Fail(first.status());
  std::atomic<int> written = *first;
  std::thread syncer([&] {
    for (;;) {
      const int synced = written;
      if (absl::Status status = store.Sync(); !status.ok()) {
        std::exit(Fail(status));
      }
      std::cout << synced << std::endl;
    }
  });
  for (;;) {
    if (absl::Status status = store.Write(NumberedBatch(written));
        !status.ok()) {
      std::exit(Fail(status));
    }
    ++written;
  }
}

int Run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 2 && arguments[0] == "open") {
    return Open(arguments[1]);
  }
  if (arguments.size() == 3 && arguments[0] == "open_as") {
    if (setuid(static_cast<uid_t>(std::stoi(arguments[1]))) != 0) {
      std::perror("setuid");
      return 2;
    }
    return Open(arguments[2]);
  }
  if (arguments.size() == 2 && arguments[0] == "write") {
    return WriteForEver(arguments[1]);
  }
  std::cerr << "unknown arguments" << std::endl;
  return 2;
}

}  // namespace
}  // namespace apium

int main(int argc, char** argv) {
  return apium::Run(std::vector<std::string>(argv + 1, argv + argc));
}
