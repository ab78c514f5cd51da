#include "storage/rocksdb_log_check.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string_view>

#include "absl/strings/str_cat.h"

// RocksDB's log format (its db/log_format.h), shared with LevelDB
// (doc/log_format.md there):
//
//   file    := block*              the last block may be shorter
//   block   := record* trailer?    32 KiB; the trailer is up to 6 zero bytes
//   record  := checksum:fixed32le length:fixed16le type:uint8 payload
//   type    := 1 whole | 2 first | 3 middle | 4 last     5.. recycled logs
//
// The checksum is the masked CRC32C of type and payload.
namespace apium {
namespace {

constexpr size_t kBlockBytes = 32 * 1024;
constexpr size_t kHeaderBytes = 7;
constexpr uint8_t kLastType = 4;

constexpr std::array<uint32_t, 256> MakeCrc32cTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    table[i] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kCrc32cTable = MakeCrc32cTable();

uint32_t ExtendCrc(uint32_t state, char byte) {
  return kCrc32cTable[(state ^ static_cast<uint8_t>(byte)) & 0xff] ^
         (state >> 8);
}

uint32_t MaskedCrc(uint32_t state) {
  const uint32_t crc = ~state;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

// A record's header, read from at least kHeaderBytes.
struct Header {
  explicit Header(std::string_view bytes) {
    const auto at = [bytes](size_t i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i]));
    };
    checksum = at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
    length = at(4) | at(5) << 8;
    type = static_cast<uint8_t>(at(6));
  }

  uint32_t checksum;
  size_t length;
  uint8_t type;
};

bool IsZero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

// Whether `bytes` begin with a record that is whole.
bool BeginsWithRecord(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return false;
  const Header header(bytes);
  if (bytes.size() - kHeaderBytes < header.length) return false;
  uint32_t crc = ~0u;
  for (char byte : bytes.substr(kHeaderBytes - 1, header.length + 1)) {
    crc = ExtendCrc(crc, byte);
  }
  return MaskedCrc(crc) == header.checksum;
}

// Whether the record at the beginning of `bytes`, whose length reaches past
// them, is whole after all with another length: then the length is damaged. A
// record that was really cut off has the right checksum for none of its
// prefixes. That a prefix has it by chance (1 in 2^32 for each) counts only
// when the file ends there or goes on with another good record.
bool IsWholeWithAnotherLength(std::string_view bytes) {
  const Header header(bytes);
  uint32_t crc = ExtendCrc(~0u, bytes[kHeaderBytes - 1]);
  for (size_t end = kHeaderBytes;; ++end) {
    if (MaskedCrc(crc) == header.checksum) {
      const std::string_view rest = bytes.substr(end);
      if (rest.empty() || BeginsWithRecord(rest)) return true;
    }
    if (end == bytes.size()) return false;
    crc = ExtendCrc(crc, bytes[end]);
  }
}

class LogCheck {
 public:
  // Checks the next block of the file; `offset` is its place in the file.
  // Returns what is wrong, or nothing.
  std::string CheckBlock(std::string_view block, uint64_t offset) {
    size_t at = 0;
    while (!ended_ && block.size() - at >= kHeaderBytes) {
      const Header header(block.substr(at));
      if (header.type == 0 && header.length == 0) {
        ended_ = true;
        break;
      }
      if (header.type == 0 || header.type > kLastType) {
        return absl::StrCat("the record at byte ", offset + at,
                            " has the unknown type ", header.type);
      }
      if (header.length > block.size() - at - kHeaderBytes) {
        // Records do not cross blocks, so that only a block that the end of the
        // file cuts short can hold a cut-off record.
        if (block.size() < kBlockBytes &&
            !IsWholeWithAnotherLength(block.substr(at))) {
          return "";
        }
        return absl::StrCat("the record at byte ", offset + at,
                            " has the wrong length ", header.length);
      }
      at += kHeaderBytes + header.length;
    }
    if (ended_ && !IsZero(block.substr(at))) {
      return absl::StrCat("there is a gap of zeros between records at byte ",
                          offset + at);
    }
    return "";
  }

 private:
  bool ended_ = false;  // only zeros may follow
};

}  // namespace

absl::Status CheckRocksDbLog(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string buffer(kBlockBytes, '\0');
  LogCheck check;
  uint64_t offset = 0;
  while (file.read(buffer.data(), kBlockBytes), file.gcount() > 0) {
    const auto size = static_cast<size_t>(file.gcount());
    const std::string damage =
        check.CheckBlock(std::string_view(buffer).substr(0, size), offset);
    if (!damage.empty()) {
      return absl::DataLossError(absl::StrCat(path, ": ", damage));
    }
    offset += size;
  }
  if (!file.eof()) {
    return absl::UnavailableError(absl::StrCat("cannot read ", path));
  }
  return absl::OkStatus();
}

}  // namespace apium
