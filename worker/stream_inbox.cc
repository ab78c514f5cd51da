#include "worker/stream_inbox.h"

#include <utility>

namespace apium {
namespace {

google::protobuf::ArenaOptions Options() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = 4 * 1024;
  options.max_block_size = 64 * 1024;
  return options;
}

}  // namespace

StreamInbox::StreamInbox(std::shared_ptr<std::atomic<size_t>> shared_bytes)
    : arena_(Options()),
      shared_bytes_(std::move(shared_bytes)),
      response_(
          google::protobuf::Arena::CreateMessage<v1::WorkResponse>(&arena_)) {}

StreamInbox::~StreamInbox() { *shared_bytes_ -= counted_bytes_; }

DeliveryStorage StreamInbox::CountShared() {
  // Long strings are not on the arena; those of payloads and headers count.
  size_t bytes = arena_.SpaceAllocated();
  for (const v1::Delivery& delivery : response_->push().deliveries()) {
    bytes += delivery.spec().payload().data().size();
    for (const auto& [name, value] : delivery.spec().headers()) {
      bytes += name.size() + value.size();
    }
  }
  if (*shared_bytes_ + bytes > kSharedBytesMax) return DeliveryStorage::kCopy;
  *shared_bytes_ += bytes;
  counted_bytes_ = bytes;
  return DeliveryStorage::kShare;
}

}  // namespace apium
