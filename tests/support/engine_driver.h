#ifndef APIUM_TESTS_SUPPORT_ENGINE_DRIVER_H_
#define APIUM_TESTS_SUPPORT_ENGINE_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/engine/command.h"
#include "broker/engine/effects.h"
#include "broker/engine/engine.h"
#include "storage/memory_store.h"

namespace apium::broker {

// What the shard and the commit thread do around an engine, without threads:
// runs turns on a MemoryStore, holds their effects back until they are synced,
// restarts, and pulls the plug. One thread.
class EngineDriver {
 public:
  // Called at the end of each turn, before its effects are released.
  using TurnObserver = std::function<void(const Effects& effects)>;

  EngineDriver(const EngineOptions& options, absl::Time now);
  EngineDriver(const EngineDriver&) = delete;
  EngineDriver& operator=(const EngineDriver&) = delete;

  void set_turn_observer(TurnObserver observer) {
    observer_ = std::move(observer);
  }

  // Makes the engine from what is stored. First call of all, and again after
  // an error.
  absl::Status Recover();
  // One turn at now(). Its effects are held until Release.
  absl::Status Turn(std::vector<Command> commands);
  // Syncs the store, then hands all held effects to their sinks, in order.
  absl::Status Release();
  // As Release, but on a disk that only says that it has synced.
  void ReleaseWithoutSync();

  // An orderly stop (everything is synced and released) and a new start.
  absl::Status Restart();
  // Power loss: of the turns that were not released, the first
  // `surviving_turns` are on disk, the others never were; none of their effects
  // leaves. Then a new start.
  absl::Status Crash(size_t surviving_turns = 0);

  absl::Time now() const { return now_; }
  // Time does not go back.
  void set_now(absl::Time now);
  // The wall clock was set back: now() is this far ahead of it from now on.
  void set_lead(absl::Duration lead) { lead_ = lead; }

  size_t held_turns() const { return held_.size(); }
  // True when the engine asks for a turn at now().
  bool wants_turn() const { return engine_->NextTurnTime() <= now_; }
  absl::Time next_turn_time() const { return engine_->NextTurnTime(); }

  Engine& engine() { return *engine_; }
  MemoryStore& store() { return *store_; }
  const EngineOptions& options() const { return options_; }

  // Outbox rows that were released, of all engines of this driver.
  const std::vector<OutboxEntry>& released_outbox() const {
    return released_outbox_;
  }

 private:
  void ReleaseHeld();

  const EngineOptions options_;
  absl::Time now_;
  absl::Duration lead_;
  TurnObserver observer_;
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>();
  std::unique_ptr<Engine> engine_;  // reads from *store_
  std::deque<Effects> held_;
  std::vector<OutboxEntry> released_outbox_;
};

}  // namespace apium::broker

#endif  // APIUM_TESTS_SUPPORT_ENGINE_DRIVER_H_
