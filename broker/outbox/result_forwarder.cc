#include "broker/outbox/result_forwarder.h"

#include <grpcpp/channel.h>
#include <pthread.h>

#include <algorithm>

#include "broker/engine/outcome_size.h"
#include "broker/outbox/publish_stream.h"
#include "broker/storage/outbox_reader.h"
#include "common/log.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// A stream that has lived this long was a good one: the next reconnect begins
// with the shortest wait again.
constexpr absl::Duration kHealthyStream = absl::Seconds(10);

size_t EntryBytes(const OutboxEntry& entry) {
  size_t bytes = sizeof(OutboxEntry);
  for (const std::shared_ptr<const Outcome>& outcome : entry.outcomes) {
    bytes += sizeof(Outcome) + OutcomeBytes(*outcome);
  }
  return bytes;
}

}  // namespace

ResultForwarder::ResultForwarder(ResultForwarderOptions options,
                                 std::shared_ptr<grpc::Channel> channel,
                                 const StoreReader* reader,
                                 std::function<void(uint64_t)> confirm)
    : options_(std::move(options)),
      channel_(std::move(channel)),
      reader_(reader),
      confirm_(std::move(confirm)),
      last_position_(options_.last_position),
      confirmed_position_(options_.confirmed_position),
      status_(absl::UnavailableError("not connected yet")) {}

void ResultForwarder::Start() {
  thread_ = std::thread([this] { Run(); });
}

ResultForwarder::~ResultForwarder() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ResultForwarder::Take(OutboxEntry&& entry) {
  const size_t bytes = EntryBytes(entry);
  absl::MutexLock lock(&mu_);
  last_position_ = entry.position;
  tail_.emplace_back(std::move(entry), bytes);
  tail_bytes_ += bytes;
  // The oldest go first: what is behind them is read from the store until the
  // forwarder has come up to the rest.
  while (tail_bytes_ > options_.tail_bytes_max) {
    tail_bytes_ -= tail_.front().second;
    tail_.pop_front();
  }
}

void ResultForwarder::Flush() { Wake(); }

void ResultForwarder::Wake() {
  absl::MutexLock lock(&mu_);
  changed_.SignalAll();
}

absl::Status ResultForwarder::status() const {
  absl::MutexLock lock(&mu_);
  return status_;
}

void ResultForwarder::OnConfirmed(uint64_t position) {
  {
    absl::MutexLock lock(&mu_);
    // Neither more than there is nor less than before can be: Begin says so.
    if (position > last_position_ || position < confirmed_position_) return;
    confirmed_position_ = position;
    while (!unconfirmed_.empty() && unconfirmed_.front().first <= position) {
      unconfirmed_bytes_ -= unconfirmed_.front().second;
      unconfirmed_.pop_front();
    }
  }
  confirm_(position);
}

void ResultForwarder::Run() {
  pthread_setname_np(pthread_self(), "forwarder");
  int failures = 0;
  while (true) {
    const absl::Time started = absl::Now();
    const absl::Status ended = Publish();
    if (absl::Now() - started > kHealthyStream) failures = 0;
    const absl::Duration delay =
        BackoffDelay(options_.reconnect, ++failures, random_);
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    status_ = ended;
    static LogEvery every(absl::Seconds(10));
    if (every.Admit()) {
      LogWarning("the result service does not take outcomes; trying again",
                 {{"error", ended}, {"delay", delay}});
    }
    const absl::Time until = absl::Now() + delay;
    while (!stopping_ && !changed_.WaitWithDeadline(&mu_, until)) {
    }
    if (stopping_) return;
  }
}

absl::Status ResultForwarder::Publish() {
  next_position_ = 0;
  {
    absl::MutexLock lock(&mu_);
    unconfirmed_.clear();
    unconfirmed_bytes_ = 0;
  }
  PublishStream stream(
      channel_, options_.shard_id,
      [this](uint64_t position) { OnConfirmed(position); }, [this] { Wake(); });
  if (AwaitWork(&stream)) {
    const absl::Status begun = Begin(*stream.first_confirmed());
    if (!begun.ok()) return begun;
  }
  while (AwaitWork(&stream)) {
    absl::StatusOr<std::vector<OutboxEntry>> entries = NextEntries();
    if (!entries.ok()) return entries.status();
    for (const OutboxEntry& entry : *entries) {
      if (!AwaitWork(&stream)) break;
      const size_t bytes = stream.Send(entry);
      absl::MutexLock lock(&mu_);
      next_position_ = entry.position + 1;
      unconfirmed_.emplace_back(entry.position, bytes);
      unconfirmed_bytes_ += bytes;
    }
  }
  absl::Status ended = stream.Finish();
  return ended.ok()
             ? absl::UnavailableError("the result service has ended the stream")
             : ended;
}

absl::Status ResultForwarder::Begin(uint64_t confirmed) {
  uint64_t last;
  uint64_t known;
  {
    absl::MutexLock lock(&mu_);
    last = last_position_;
    known = confirmed_position_;
    if (confirmed >= known && confirmed <= last) status_ = absl::OkStatus();
  }
  if (confirmed > last) {
    return absl::DataLossError(StrCat(
        "the result service has outcomes of shard ", options_.shard_id,
        " up to position ", confirmed, ", this store only up to ", last,
        ": the store is older than what it has published; restore the newer "
        "one"));
  }
  if (confirmed < known) {
    return absl::DataLossError(StrCat(
        "the result service has outcomes of shard ", options_.shard_id,
        " up to position ", confirmed, " but had confirmed ", known,
        ": its store is older than what it has confirmed; restore the newer "
        "one"));
  }
  next_position_ = confirmed + 1;
  LogInfo("publishing outcomes to the result service",
          {{"shard_id", options_.shard_id},
           {"confirmed_position", confirmed},
           {"last_position", last}});
  return absl::OkStatus();
}

bool ResultForwarder::AwaitWork(PublishStream* stream) {
  absl::MutexLock lock(&mu_);
  while (true) {
    // The stream's own lock is taken inside mu_, and never the other way round:
    // its callbacks come without it.
    if (stopping_ || stream->broken()) return false;
    const bool first = next_position_ == 0;
    const bool more = first || next_position_ <= last_position_;
    if (more && stream->writable() &&
        unconfirmed_bytes_ < options_.unconfirmed_bytes_max) {
      return true;
    }
    changed_.Wait(&mu_);
  }
}

absl::StatusOr<std::vector<OutboxEntry>> ResultForwarder::NextEntries() {
  uint64_t last = 0;
  {
    absl::MutexLock lock(&mu_);
    // Sent before: kept for a reconnect only where it costs nothing.
    while (!tail_.empty() && tail_.front().first.position < next_position_) {
      tail_bytes_ -= tail_.front().second;
      tail_.pop_front();
    }
    if (!tail_.empty() && tail_.front().first.position == next_position_) {
      std::vector<OutboxEntry> entries;
      entries.push_back(std::move(tail_.front().first));
      tail_bytes_ -= tail_.front().second;
      tail_.pop_front();
      return entries;
    }
    // Not beyond what is synced, and not what the tail has.
    last = tail_.empty() ? last_position_ : tail_.front().first.position - 1;
  }
  std::vector<OutboxEntry> entries;
  const absl::Status read =
      ReadOutbox(*reader_, next_position_, last, options_.read_bytes, &entries);
  if (!read.ok()) return read;
  if (entries.empty() || entries.front().position != next_position_) {
    return absl::DataLossError(
        StrCat("the outbox of shard ", options_.shard_id, " has no position ",
               next_position_, ", and the result service has no later one"));
  }
  return entries;
}

}  // namespace apium::broker
