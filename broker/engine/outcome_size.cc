#include "broker/engine/outcome_size.h"

namespace apium::broker {
namespace {

constexpr size_t kOutcomeOverheadBytes = 240;
constexpr size_t kEventOverheadBytes = 64;
constexpr size_t kHeaderOverheadBytes = 16;

size_t FailureBytes(const Failure& failure) {
  return failure.type.size() + failure.message.size() + failure.stack.size();
}

}  // namespace

size_t OutcomeBytes(const Outcome& outcome) {
  size_t bytes = kOutcomeOverheadBytes + outcome.result.data.size() +
                 FailureBytes(outcome.failure);
  for (const TaskEvent& event : outcome.history.events) {
    bytes += kEventOverheadBytes + event.worker_id.size() + event.detail.size();
    if (event.failure != nullptr) bytes += FailureBytes(*event.failure);
  }
  for (const auto& [name, value] : outcome.headers)
    bytes += kHeaderOverheadBytes + name.size() + value.size();
  if (outcome.details != nullptr) bytes += outcome.details->data.size();
  return bytes;
}

}  // namespace apium::broker
