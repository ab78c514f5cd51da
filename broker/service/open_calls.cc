#include "broker/service/open_calls.h"

#include <utility>
#include <vector>

namespace apium::broker {

void OpenCalls::Add(const std::shared_ptr<OpenCall>& call) {
  std::optional<absl::Status> ended;
  {
    absl::MutexLock lock(&mu_);
    calls_.emplace(call.get(), call);
    ended = ended_;
  }
  if (ended.has_value()) call->End(*ended);
}

void OpenCalls::Remove(const OpenCall* call) {
  absl::MutexLock lock(&mu_);
  calls_.erase(call);
}

void OpenCalls::EndAll(const absl::Status& status) {
  std::vector<std::shared_ptr<OpenCall>> calls;
  {
    absl::MutexLock lock(&mu_);
    ended_ = status;
    calls.reserve(calls_.size());
    for (const auto& [key, weak] : calls_) {
      if (std::shared_ptr<OpenCall> call = weak.lock()) {
        calls.push_back(std::move(call));
      }
    }
  }
  for (const std::shared_ptr<OpenCall>& call : calls) call->End(status);
}

size_t OpenCalls::count() const {
  absl::MutexLock lock(&mu_);
  return calls_.size();
}

}  // namespace apium::broker
