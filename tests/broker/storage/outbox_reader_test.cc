#include "broker/storage/outbox_reader.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_codec.h"
#include "gtest/gtest.h"
#include "storage/memory_store.h"

namespace apium::broker {
namespace {

void PutRow(MemoryStore* store, uint64_t position) {
  auto outcome = std::make_shared<Outcome>();
  outcome->task_id = absl::StrCat("t", position);
  outcome->create_time = absl::UnixEpoch();
  outcome->finish_time = absl::UnixEpoch();
  StoreBatch batch;
  batch.Put(OutboxRowKey(position), EncodeOutboxRow({outcome}));
  ASSERT_TRUE(store->Write(batch).ok());
}

std::string Read(const MemoryStore& store, uint64_t from, uint64_t to,
                 size_t max_bytes) {
  std::vector<OutboxEntry> entries;
  const absl::Status status = ReadOutbox(store, from, to, max_bytes, &entries);
  if (!status.ok()) return absl::StrCat(static_cast<int>(status.code()));
  std::string text;
  for (const OutboxEntry& entry : entries) {
    absl::StrAppend(&text, entry.position, ":", entry.outcomes.front()->task_id,
                    " ");
  }
  return text;
}

TEST(OutboxReaderTest, ReadsTheRangeInOrder) {
  MemoryStore store;
  for (uint64_t position : {1, 2, 3, 4}) PutRow(&store, position);
  EXPECT_EQ(Read(store, 2, 3, 1000), "2:t2 3:t3 ");
}

TEST(OutboxReaderTest, StopsAtTheByteLimitButReadsAtLeastOneRow) {
  MemoryStore store;
  for (uint64_t position : {1, 2}) PutRow(&store, position);
  EXPECT_EQ(Read(store, 1, 2, 1), "1:t1 ");
}

TEST(OutboxReaderTest, StopsAtAGap) {
  MemoryStore store;
  for (uint64_t position : {1, 3}) PutRow(&store, position);
  EXPECT_EQ(Read(store, 1, 3, 1000), "1:t1 ");
  EXPECT_EQ(Read(store, 2, 3, 1000), "");
}

TEST(OutboxReaderTest, ADamagedRowIsDataLoss) {
  MemoryStore store;
  StoreBatch batch;
  batch.Put(OutboxRowKey(1), "\xff");
  ASSERT_TRUE(store.Write(batch).ok());
  std::vector<OutboxEntry> entries;
  EXPECT_TRUE(absl::IsDataLoss(ReadOutbox(store, 1, 1, 1, &entries)));
}

}  // namespace
}  // namespace apium::broker
