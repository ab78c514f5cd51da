#include "broker/engine/session_table.h"

#include <utility>

namespace apium::broker {

Session* SessionTable::Add(std::string session_id, std::string worker_id,
                           absl::Time now) {
  auto owned = std::make_unique<Session>();
  Session* session = owned.get();
  session->number = ++last_number_;
  session->session_id = std::move(session_id);
  session->worker_id = std::move(worker_id);
  session->connect_time = now;
  session->last_seen = now;
  by_id_[session->session_id] = session;
  sessions_[session->number] = std::move(owned);
  session->deadline = LostTime(*session);
  deadlines_.emplace(session->deadline, session->number);
  return session;
}

void SessionTable::Attach(Session* session, std::shared_ptr<WorkerSink> sink,
                          absl::Time now) {
  if (session->connected()) by_sink_.erase(session->sink.get());
  by_sink_[sink.get()] = session;
  session->sink = std::move(sink);
  session->credit = 0;
  session->last_seen = now;
  SetDeadline(session, LostTime(*session));
}

void SessionTable::Detach(Session* session, absl::Time now) {
  by_sink_.erase(session->sink.get());
  session->sink = nullptr;
  session->credit = 0;
  session->queues.clear();
  session->last_seen = now;
  SetDeadline(session, LostTime(*session));
}

void SessionTable::Remove(Session* session) {
  if (session->connected()) by_sink_.erase(session->sink.get());
  deadlines_.erase({session->deadline, session->number});
  by_id_.erase(session->session_id);
  sessions_.erase(uint64_t{session->number});
}

Session* SessionTable::FindById(const std::string& session_id) const {
  auto it = by_id_.find(session_id);
  return it == by_id_.end() ? nullptr : it->second;
}

Session* SessionTable::FindBySink(const WorkerSink* sink) const {
  auto it = by_sink_.find(sink);
  return it == by_sink_.end() ? nullptr : it->second;
}

std::vector<Session*> SessionTable::DetachedOf(
    const std::string& namespace_name, const std::string& worker_id) const {
  std::vector<Session*> found;
  for (const auto& [number, session] : sessions_) {
    if (!session->connected() && session->worker_id == worker_id &&
        session->namespace_name == namespace_name) {
      found.push_back(session.get());
    }
  }
  return found;
}

absl::Time SessionTable::LostTime(const Session& session) const {
  return session.last_seen +
         (session.connected() ? lease_duration_ : reattach_grace_);
}

void SessionTable::SetDeadline(Session* session, absl::Time deadline) {
  deadlines_.erase({session->deadline, session->number});
  session->deadline = deadline;
  deadlines_.emplace(deadline, session->number);
}

void SessionTable::Excuse(absl::Duration leap) {
  for (const auto& [number, session] : sessions_) session->last_seen += leap;
}

std::vector<Session*> SessionTable::TakeLost(absl::Time now) {
  std::vector<Session*> lost;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Session* session = sessions_[deadlines_.begin()->second].get();
    const absl::Time lost_time = LostTime(*session);
    if (lost_time > now) {
      SetDeadline(session, lost_time);
    } else {
      deadlines_.erase(deadlines_.begin());
      lost.push_back(session);
    }
  }
  return lost;
}

absl::Time SessionTable::NextTime() const {
  return deadlines_.empty() ? absl::InfiniteFuture()
                            : deadlines_.begin()->first;
}

}  // namespace apium::broker
