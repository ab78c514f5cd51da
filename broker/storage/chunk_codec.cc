#include "broker/storage/chunk_codec.h"

#include <utility>

#include "apium/storage/v1/chunk.pb.h"
#include "broker/storage/record_value.h"

namespace apium::broker {
namespace {

namespace pb = ::apium::storage::v1;

template <typename Record>
void PayloadToRecord(const Payload& payload, Record* record) {
  record->set_data(payload.data);
  record->set_content_type(payload.content_type);
  record->set_content_encoding(payload.content_encoding);
}

template <typename Record>
Payload PayloadFromRecord(Record* record) {
  return {.data = std::move(*record->mutable_data()),
          .content_type = std::move(*record->mutable_content_type()),
          .content_encoding = std::move(*record->mutable_content_encoding())};
}

}  // namespace

std::string EncodeChunkHead(const StoredChunkHead& head) {
  pb::ChunkHeadRecord record;
  record.set_create_nanos(absl::ToUnixNanos(head.create_time));
  record.set_count(head.count);
  record.set_bytes(head.bytes);
  record.set_attempt(head.attempt);
  record.set_number(head.number);
  record.set_delete_millis(head.delete_millis);
  record.set_deleted(head.deleted);
  return record.SerializeAsString();
}

absl::StatusOr<StoredChunkHead> DecodeChunkHead(std::string_view value) {
  pb::ChunkHeadRecord record;
  if (!ParseRecord(value, &record) || record.deleted() > record.count())
    return DamagedRow("chunk head");
  return StoredChunkHead{
      .create_time = absl::FromUnixNanos(record.create_nanos()),
      .count = record.count(),
      .bytes = record.bytes(),
      .attempt = record.attempt(),
      .number = record.number(),
      .delete_millis = record.delete_millis(),
      .deleted = record.deleted()};
}

std::string EncodeChunk(const TaskChunk& chunk) {
  pb::ChunkRecord record;
  record.set_attempt(chunk.attempt);
  record.set_time_nanos(absl::ToUnixNanos(chunk.time));
  PayloadToRecord(chunk.payload, &record);
  return record.SerializeAsString();
}

absl::StatusOr<TaskChunk> DecodeChunk(uint64_t position,
                                      std::string_view value) {
  pb::ChunkRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("chunk");
  return TaskChunk{.position = position,
                   .attempt = record.attempt(),
                   .time = absl::FromUnixNanos(record.time_nanos()),
                   .payload = PayloadFromRecord(&record)};
}

std::string EncodeDetails(const Payload& details) {
  pb::DetailsRecord record;
  PayloadToRecord(details, &record);
  return record.SerializeAsString();
}

absl::StatusOr<Payload> DecodeDetails(std::string_view value) {
  pb::DetailsRecord record;
  if (!ParseRecord(value, &record)) return DamagedRow("progress details");
  return PayloadFromRecord(&record);
}

}  // namespace apium::broker
