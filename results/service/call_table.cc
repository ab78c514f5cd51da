#include "results/service/call_table.h"

#include <utility>

#include "apium/v1/result_service.pb.h"

namespace apium::results {
namespace {

// Messages that are kept, about as many as one broker may have unconfirmed, and
// the size beyond which one is not.
constexpr size_t kMessagesMax = 256;
constexpr int kMessageOutcomesMax = 1024;
constexpr size_t kMessageBytesMax = 64 * 1024;

}  // namespace

void CallTable::Add(CallId id, std::shared_ptr<OpenCall> call) {
  absl::MutexLock lock(&mu_);
  calls_.emplace(id, std::move(call));
}

std::shared_ptr<OpenCall> CallTable::Take(CallId id) {
  absl::MutexLock lock(&mu_);
  auto found = calls_.find(id);
  if (found == calls_.end()) {
    return nullptr;
  }
  std::shared_ptr<OpenCall> call = std::move(found->second);
  calls_.erase(found);
  return call;
}

std::shared_ptr<OpenCall> CallTable::Find(CallId id) {
  absl::MutexLock lock(&mu_);
  auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : found->second;
}

void CallTable::Release(ResultEffects* effects) {
  for (const Confirmation& confirmation : effects->confirmations) {
    if (auto call = Find(confirmation.stream)) {
      call->OnConfirmation(confirmation);
    }
  }
  effects->confirmations.clear();
  for (Reply& reply : effects->replies) {
    if (auto call = Take(reply.call)) {
      call->OnReply(std::move(reply));
    }
  }
  effects->replies.clear();
  for (WatchPush& push : effects->pushes) {
    if (auto call = Find(push.stream)) {
      call->OnPush(std::move(push));
    }
  }
  effects->pushes.clear();
  for (const StreamEnd& end : effects->ends) {
    if (auto call = Take(end.stream)) {
      call->OnEnd(end.status);
    }
  }
  effects->ends.clear();
  Recycle(&effects->spent);
}

void CallTable::EndAll(const absl::Status& status) {
  absl::flat_hash_map<CallId, std::shared_ptr<OpenCall>> calls;
  {
    absl::MutexLock lock(&mu_);
    calls.swap(calls_);
  }
  for (const auto& [id, call] : calls) {
    call->OnEnd(status);
  }
}

std::unique_ptr<v1::PublishOutcomesRequest> CallTable::NewMessage() {
  {
    absl::MutexLock lock(&messages_mu_);
    if (!messages_.empty()) {
      auto message = std::move(messages_.back());
      messages_.pop_back();
      return message;
    }
  }
  return std::make_unique<v1::PublishOutcomesRequest>();
}

void CallTable::Recycle(
    std::vector<std::unique_ptr<v1::PublishOutcomesRequest>>* messages) {
  // The large ones go, outside of the lock.
  std::erase_if(*messages, [](const auto& message) {
    return message->batch().outcomes_size() > kMessageOutcomesMax ||
           static_cast<size_t>(message->GetCachedSize()) > kMessageBytesMax;
  });
  {
    absl::MutexLock lock(&messages_mu_);
    while (!messages->empty() && messages_.size() < kMessagesMax) {
      messages_.push_back(std::move(messages->back()));
      messages->pop_back();
    }
  }
  messages->clear();
}

}  // namespace apium::results
