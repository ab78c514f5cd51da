// Random histories against a simple model: brokers that publish again what was
// not confirmed, readers of every kind, time that passes, compaction, and power
// that fails between any two syncs.
//
//   APIUM_SEED=17 APIUM_HISTORIES=1 replays one history.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "absl/strings/numbers.h"
#include "common/error_reason.h"
#include "common/rpc/proto_time.h"
#include "common/strings.h"
#include "results/result_reasons.h"
#include "tests/results/core_harness.h"

namespace apium::results {
namespace {

constexpr absl::Duration kRetention = absl::Seconds(60);
constexpr int kSteps = 60;

// One recording. The serial is in the outcome's attempt, so that every reader
// can tell which recording it has been given.
struct Entry {
  std::string id;
  uint32_t serial = 0;
  absl::Time expires;
  bool forgotten = false;

  bool LiveAt(absl::Time now) const { return !forgotten && expires > now; }
};

// What the service should hold.
struct Model {
  std::vector<Entry> log;
  std::map<std::string, uint64_t> confirmed;

  Entry* FindLive(const std::string& id, absl::Time now) {
    for (auto entry = log.rbegin(); entry != log.rend(); ++entry) {
      if (entry->id == id) {
        return entry->LiveAt(now) ? &*entry : nullptr;
      }
    }
    return nullptr;
  }
};

// A broker's outbox: it publishes from behind what is confirmed, again and
// again.
struct Shard {
  std::string id;
  std::vector<std::vector<v1::TaskOutcome>> batches;  // position - 1
  uint64_t stream = 0;
  uint64_t sent = 0;
};

// A client that watches, and goes on from its last cursor.
struct Watcher {
  uint64_t stream = 0;  // 0: not connected
  std::string cursor = "0";
  uint32_t last_serial_index = 0;  // in the log, 1 more than of the last seen
  std::set<uint32_t> seen;
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), harness_(Options()) {
    shards_.resize(2);
    shards_[0].id = "s0";
    shards_[1].id = "s1";
    watchers_.resize(2);
    harness_.on_release = [this](const ResultEffects& effects) {
      OnRelease(effects);
    };
  }

  void Run() {
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
      Step();
    }
    Settle();
  }

  // A summary that is the same for the same seed.
  const std::string& trace() const { return trace_; }

 private:
  // What a command should be answered; of the group it was in.
  using Expected = std::map<uint64_t, std::string>;
  struct Group {
    Model after;
    Expected replies;
    std::map<uint64_t, std::string> waits;  // those that began to wait
    size_t writes = 0;
  };

  static ResultCoreOptions Options() {
    ResultCoreOptions options;
    options.result_ttl = kRetention;
    options.watches.in_flight_bytes_max = 600;
    options.watches.message_bytes_max = 300;
    return options;
  }

  uint64_t Roll(uint64_t sides) { return random_() % sides; }
  std::string RandomId() { return StrCat("t", Roll(12)); }

  void Step() {
    switch (Roll(10)) {
      case 0:
        harness_.Advance(absl::Milliseconds(Roll(40'000)));
        break;
      case 1:
        if (groups_.empty()) {
          harness_.Compact();
        }
        break;
      case 2:
        Crash();
        break;
      default:
        DoGroup();
        if (groups_.size() > Roll(3)) {
          Sync();
        }
    }
  }

  void DoGroup() {
    Group group;
    group.after = groups_.empty() ? synced_ : groups_.back().after;
    before_group_ = group.after;
    const uint64_t commands = 1 + Roll(6);
    for (uint64_t i = 0; i < commands; ++i) {
      Command(&group);
    }
    const size_t writes_before = harness_.store().unsynced_writes();
    groups_.push_back(std::move(group));
    harness_.StepUnsynced();
    groups_.back().writes = harness_.store().unsynced_writes() - writes_before;
  }

  void Command(Group* group) {
    const uint64_t call = next_call_++;
    const absl::Time now = harness_.now();
    switch (Roll(9)) {
      case 0:
      case 1:
      case 2:
        Publish(&shards_[Roll(shards_.size())], group);
        break;
      case 3: {
        const std::string id = RandomId();
        harness_.Get(call, id);
        const Entry* entry = group->after.FindLive(id, now);
        group->replies[call] =
            entry == nullptr ? "NOT_FOUND" : StrCat(entry->serial);
        break;
      }
      case 4: {
        const std::string id = RandomId();
        harness_.Forget(call, id);
        Entry* entry = group->after.FindLive(id, now);
        group->replies[call] = entry == nullptr ? "NOT_FOUND" : "OK";
        if (entry != nullptr) {
          entry->forgotten = true;
        }
        break;
      }
      case 5: {
        const std::string id = RandomId();
        harness_.Wait(call, id);
        const Entry* entry = group->after.FindLive(id, now);
        if (entry != nullptr) {
          group->replies[call] = StrCat(entry->serial);
        } else {
          group->waits[call] = id;
        }
        break;
      }
      case 6: {
        harness_.List(call);
        std::string expected = "page";
        for (auto entry = before_group_.log.rbegin();
             entry != before_group_.log.rend(); ++entry) {
          if (entry->LiveAt(now)) {
            StrAppend(&expected, " ", entry->serial);
          }
        }
        group->replies[call] = expected;
        break;
      }
      case 7:
        Watch(&watchers_[Roll(watchers_.size())], call);
        break;
      case 8:
        for (const Watcher& watcher : watchers_) {
          if (watcher.stream != 0) {
            harness_.Taken(watcher.stream, 1'000'000);
          }
        }
        break;
    }
  }

  void Watch(Watcher* watcher, uint64_t call) {
    if (watcher->stream != 0) {
      if (Roll(3) == 0) {
        harness_.EndWatch(watcher->stream);
        watcher->stream = 0;
      }
      return;
    }
    watcher->stream = call;
    harness_.Watch(call, watcher->cursor);
  }

  void Publish(Shard* shard, Group* group) {
    if (shard->stream == 0 || Roll(8) == 0) {
      shard->stream = next_call_++;
      harness_.Hello(shard->stream, shard->id);
      // What was confirmed to the broker; it does not know better.
      shard->sent = synced_.confirmed[shard->id];
    }
    if (shard->sent == shard->batches.size()) {
      std::vector<v1::TaskOutcome>& batch = shard->batches.emplace_back();
      const uint64_t outcomes = Roll(4);
      for (uint64_t i = 0; i < outcomes; ++i) {
        batch.push_back(Outcome(RandomId()));
        batch.back().set_attempt(next_serial_++);
        if (Roll(2) == 0) {
          DurationToProto(absl::Seconds(1 + Roll(120)),
                          batch.back().mutable_result_ttl());
        }
      }
    }
    const uint64_t position = ++shard->sent;
    const auto& batch = shard->batches[position - 1];
    harness_.Publish(shard->stream, position, batch);
    uint64_t& confirmed = group->after.confirmed[shard->id];
    if (position <= confirmed) {
      return;
    }
    confirmed = position;
    for (const v1::TaskOutcome& outcome : batch) {
      if (group->after.FindLive(outcome.task_id(), harness_.now()) != nullptr) {
        continue;
      }
      const absl::Duration ttl =
          outcome.has_result_ttl()
              ? *DurationFromProto("ttl", outcome.result_ttl())
              : kRetention;
      group->after.log.push_back({.id = outcome.task_id(),
                                  .serial = outcome.attempt(),
                                  .expires = harness_.now() + ttl});
      for (auto wait = waits_.begin(); wait != waits_.end();) {
        wait = AnswerWait(group, wait, outcome, &waits_);
      }
      for (auto wait = group->waits.begin(); wait != group->waits.end();) {
        wait = AnswerWait(group, wait, outcome, &group->waits);
      }
      for (Group& earlier : groups_) {
        for (auto wait = earlier.waits.begin(); wait != earlier.waits.end();) {
          wait = AnswerWait(group, wait, outcome, &earlier.waits);
        }
      }
    }
  }

  using Waits = std::map<uint64_t, std::string>;
  static Waits::iterator AnswerWait(Group* group, Waits::iterator wait,
                                    const v1::TaskOutcome& outcome,
                                    Waits* waits) {
    if (wait->second != outcome.task_id()) {
      return std::next(wait);
    }
    group->replies[wait->first] = StrCat(outcome.attempt());
    return waits->erase(wait);
  }

  void Sync() {
    released_ = 0;
    trace_ += harness_.Sync();
    EXPECT_EQ(released_, groups_.size());
    groups_.clear();
  }

  // The groups are released in order, each with what the model expects of it.
  void OnRelease(const ResultEffects& effects) {
    Group& group = groups_.at(released_++);
    synced_ = group.after;
    waits_.insert(group.waits.begin(), group.waits.end());
    for (const Confirmation& confirmation : effects.confirmations) {
      for (const Shard& shard : shards_) {
        if (CallId{shard.stream} == confirmation.stream) {
          EXPECT_EQ(confirmation.position, synced_.confirmed[shard.id]);
        }
      }
    }
    Expected replies;
    for (const Reply& reply : effects.replies) {
      EXPECT_TRUE(
          replies.emplace(static_cast<uint64_t>(reply.call), ReplyText(reply))
              .second)
          << "answered twice";
    }
    EXPECT_EQ(replies, group.replies);
    for (const WatchPush& push : effects.pushes) {
      OnPush(push);
    }
    for (const StreamEnd& end : effects.ends) {
      OnEnd(end);
    }
  }

  static std::string ReplyText(const Reply& reply) {
    if (!reply.status.ok()) {
      return absl::StatusCodeToString(reply.status.code());
    }
    if (auto* outcome = std::get_if<v1::TaskOutcome>(&reply.value)) {
      return StrCat(outcome->attempt());
    }
    if (auto* page = std::get_if<v1::ListResultsResponse>(&reply.value)) {
      std::string text = "page";
      for (const v1::TaskOutcome& outcome : page->outcomes()) {
        StrAppend(&text, " ", outcome.attempt());
      }
      return text;
    }
    return "OK";
  }

  void OnPush(const WatchPush& push) {
    for (Watcher& watcher : watchers_) {
      if (CallId{watcher.stream} != push.stream) {
        continue;
      }
      for (const v1::TaskOutcome& outcome : push.message.outcomes()) {
        EXPECT_TRUE(watcher.seen.insert(outcome.attempt()).second)
            << "seen twice";
        const uint32_t index = IndexOf(outcome.attempt());
        EXPECT_GT(index, watcher.last_serial_index) << "out of order";
        watcher.last_serial_index = index;
      }
      watcher.cursor = push.message.cursor();
    }
  }

  // 1 for the first of the log.
  uint32_t IndexOf(uint32_t serial) {
    for (size_t i = 0; i < synced_.log.size(); ++i) {
      if (synced_.log[i].serial == serial) {
        return static_cast<uint32_t>(i + 1);
      }
    }
    ADD_FAILURE() << "a watcher was given " << serial
                  << ", which is not durable";
    return 0;
  }

  void OnEnd(const StreamEnd& end) {
    for (Watcher& watcher : watchers_) {
      if (CallId{watcher.stream} == end.stream) {
        EXPECT_EQ(ReasonOf(end.status), reason::kCursorExpired);
        EXPECT_TRUE(SomethingExpiredBehind(watcher));
        watcher = Watcher();
      }
    }
    for (Shard& shard : shards_) {
      EXPECT_NE(CallId{shard.stream}, end.stream)
          << "a broker that does nothing wrong was refused";
    }
  }

  bool SomethingExpiredBehind(const Watcher& watcher) {
    for (size_t i = watcher.last_serial_index; i < synced_.log.size(); ++i) {
      if (synced_.log[i].expires <= harness_.now()) {
        return true;
      }
    }
    return false;
  }

  void Crash() {
    const size_t unsynced = harness_.store().unsynced_writes();
    size_t survivors = Roll(unsynced + 1);
    harness_.Crash(survivors);
    for (const Group& group : groups_) {
      if (group.writes > survivors) {
        break;
      }
      survivors -= group.writes;
      // A group that wrote nothing has changed nothing.
      if (group.writes > 0) {
        synced_ = group.after;
      }
    }
    groups_.clear();
    waits_.clear();
    for (Shard& shard : shards_) {
      shard.stream = 0;
    }
    for (Watcher& watcher : watchers_) {
      watcher.stream = 0;
    }
  }

  // At the end every watcher has everything that is still there.
  void Settle() {
    if (!groups_.empty()) {
      Sync();
    }
    for (int round = 0; round < 200; ++round) {
      Group group;
      group.after = synced_;
      for (Watcher& watcher : watchers_) {
        if (watcher.stream == 0) {
          watcher.stream = next_call_++;
          harness_.Watch(watcher.stream, watcher.cursor);
        }
        harness_.Taken(watcher.stream, 1'000'000);
      }
      groups_.push_back(std::move(group));
      harness_.StepUnsynced();
      Sync();
    }
    for (const Watcher& watcher : watchers_) {
      for (const Entry& entry : synced_.log) {
        if (entry.LiveAt(harness_.now())) {
          EXPECT_TRUE(watcher.seen.contains(entry.serial))
              << "a watcher missed " << entry.serial;
        }
      }
    }
  }

  std::mt19937_64 random_;
  CoreHarness harness_;
  Model synced_;
  Model before_group_;
  std::vector<Group> groups_;  // applied, not synced
  size_t released_ = 0;
  Waits waits_;  // of released groups
  std::vector<Shard> shards_;
  std::vector<Watcher> watchers_;
  uint64_t next_call_ = 1;
  uint32_t next_serial_ = 1;
  std::string trace_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t number = 0;
  return text != nullptr && absl::SimpleAtoi(text, &number) ? number
                                                            : otherwise;
}

TEST(ResultRandomTest, HistoriesAgreeWithTheModel) {
  const uint64_t first = FromEnvironment("APIUM_SEED", 1);
  const uint64_t histories = FromEnvironment("APIUM_HISTORIES", 10'000);
  for (uint64_t seed = first; seed < first + histories; ++seed) {
    SCOPED_TRACE(StrCat("APIUM_SEED=", seed, " APIUM_HISTORIES=1"));
    History(seed).Run();
    if (HasFailure()) {
      return;
    }
  }
}

TEST(ResultRandomTest, SameSeedGivesTheSameHistory) {
  for (uint64_t seed = 1; seed < 50; ++seed) {
    History one(seed);
    one.Run();
    History other(seed);
    other.Run();
    EXPECT_EQ(one.trace(), other.trace());
    EXPECT_NE(one.trace(), "");
  }
}

}  // namespace
}  // namespace apium::results
