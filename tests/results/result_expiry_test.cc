// Expired rows leave the disk by compaction, and only they.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "apium/v1/task.pb.h"
#include "common/strings.h"
#include "results/result_core.h"
#include "results/row_format.h"
#include "storage/rocksdb_store.h"
#include "tests/results/core_harness.h"
#include "tests/support/status_matchers.h"

namespace apium::results {
namespace {

std::vector<std::string> Keys(const Store& store) {
  std::vector<std::string> keys;
  EXPECT_TRUE(store
                  .Scan("\x01", "\xff",
                        [&](std::string_view key, std::string_view) {
                          keys.emplace_back(key);
                          return true;
                        })
                  .ok());
  return keys;
}

TEST(ResultExpiryTest, CompactionDropsExpiredOutcomesAndLogRows) {
  const char* root = std::getenv("TEST_TMPDIR");
  const std::string folder =
      StrCat(root == nullptr ? "/tmp" : root, "/result-expiry-", getpid());
  std::filesystem::remove_all(folder);

  std::atomic<int64_t> now_ms{1'700'000'000'000};
  RocksDbOptions options;
  options.path = folder;
  options.should_drop = [&](std::string_view key, std::string_view value) {
    return IsExpiredRow(key, value, now_ms);
  };
  auto store = RocksDbStore::Open(options);
  APIUM_ASSERT_OK(store);
  ResultCore core(ResultCoreOptions(), store->get());
  StoreBatch identity;
  APIUM_ASSERT_OK(core.Recover("id", &identity));
  APIUM_ASSERT_OK((*store)->Write(identity));

  const auto publish = [&](uint64_t position,
                           const std::vector<v1::TaskOutcome>& outcomes) {
    std::vector<ResultCommand> commands;
    commands.push_back(PublishBegin{.stream = CallId{1}, .shard_id = "s1"});
    auto message = std::make_unique<v1::PublishOutcomesRequest>();
    message->mutable_batch()->set_position(position);
    for (const v1::TaskOutcome& outcome : outcomes) {
      *message->mutable_batch()->add_outcomes() = outcome;
    }
    commands.push_back(
        PublishBatch{.stream = CallId{1}, .message = std::move(message)});
    commands.push_back(PublishEnd{.stream = CallId{1}});
    ResultEffects effects;
    APIUM_ASSERT_OK(core.Apply(
        &commands, {.wall = absl::FromUnixMillis(now_ms)}, &effects));
    APIUM_ASSERT_OK((*store)->Write(effects.writes));
  };
  v1::TaskOutcome brief = Outcome("brief");
  brief.mutable_result_ttl()->set_seconds(10);
  v1::TaskOutcome brief_too = Outcome("brief-too");
  brief_too.mutable_result_ttl()->set_seconds(10);
  publish(1, {brief});
  publish(2, {brief_too, Outcome("long")});

  APIUM_ASSERT_OK((*store)->Compact());
  EXPECT_EQ(Keys(**store).size(), 3u + 2u + 3u);

  now_ms += 10'000;
  APIUM_ASSERT_OK((*store)->Compact());
  EXPECT_EQ(Keys(**store),
            (std::vector<std::string>{ShardKey("s1"), StoreKey(),
                                      LogKey("default", 2), HeadKey("default"),
                                      OutcomeKey("default", "long")}));

  now_ms += 24 * 3600 * int64_t{1000};
  APIUM_ASSERT_OK((*store)->Compact());
  EXPECT_EQ(Keys(**store), (std::vector<std::string>{ShardKey("s1"), StoreKey(),
                                                     HeadKey("default")}));
}

}  // namespace
}  // namespace apium::results
