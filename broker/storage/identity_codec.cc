#include "broker/storage/identity_codec.h"

#include <utility>

#include "absl/status/status.h"
#include "apium/storage/v1/identity.pb.h"
#include "broker/storage/key_format.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

}  // namespace

std::string EncodeUniqueKey(const StoredUniqueKey& unique) {
  pb::UniqueKeyRecord record;
  record.set_holder(unique.holder);
  record.set_holder_create_nanos(absl::ToUnixNanos(unique.holder_create_time));
  record.set_next(unique.next);
  if (unique.window_end_millis != kKeepIdentity)
    record.set_window_end_millis(unique.window_end_millis);
  return SerializeKept(unique.keep_until_millis(), record);
}

absl::StatusOr<StoredUniqueKey> DecodeUniqueKey(std::string_view value) {
  pb::UniqueKeyRecord record;
  if (!ParseKept(value, &record) || record.holder().empty())
    return DamagedRow("unique key");
  StoredUniqueKey unique;
  unique.holder = std::move(*record.mutable_holder());
  unique.holder_create_time = absl::FromUnixNanos(record.holder_create_nanos());
  unique.next = std::move(*record.mutable_next());
  if (record.window_end_millis() != 0)
    unique.window_end_millis = record.window_end_millis();
  return unique;
}

std::string EncodeRequest(const StoredRequest& request) {
  pb::RequestRecord record;
  record.set_fingerprint_high(request.fingerprint.high);
  record.set_fingerprint_low(request.fingerprint.low);
  for (const StoredRequest::Answer& answer : request.answers) {
    pb::RequestAnswerRecord* added = record.add_answers();
    added->set_task_id(answer.task_id);
    added->set_create_nanos(absl::ToUnixNanos(answer.create_time));
    added->set_minted(answer.minted);
    added->set_attached(answer.attached);
    added->set_copies(answer.copies);
  }
  return SerializeKept(request.keep_until_millis, record);
}

absl::StatusOr<StoredRequest> DecodeRequest(std::string_view value) {
  pb::RequestRecord record;
  if (!ParseKept(value, &record) || record.answers().empty())
    return DamagedRow("request");
  StoredRequest request;
  request.fingerprint = {.high = record.fingerprint_high(),
                         .low = record.fingerprint_low()};
  request.keep_until_millis = *KeepUntilOf(value);
  for (pb::RequestAnswerRecord& answer : *record.mutable_answers()) {
    request.answers.push_back(
        {.task_id = std::move(*answer.mutable_task_id()),
         .create_time = absl::FromUnixNanos(answer.create_nanos()),
         .minted = answer.minted(),
         .attached = answer.attached(),
         .copies = answer.copies()});
  }
  return request;
}

}  // namespace apium::broker
