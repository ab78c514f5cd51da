// Every bound of the public contract, with its unit and its reason. Bounds of
// names are in common/names.h.

#ifndef APIUM_COMMON_LIMITS_H_
#define APIUM_COMMON_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace apium {

// --- Messages ---

// A task's payload unless the operator says otherwise: larger data belongs in
// an object store, by reference.
inline constexpr size_t kPayloadBytesDefaultMax = 1 * 1024 * 1024;
// What an operator may raise it to: a task, its headers and its envelope must
// fit one gRPC message.
inline constexpr size_t kPayloadBytesHardMax = 4 * 1024 * 1024;
// One gRPC message, in either direction. Twice the largest payload, so that one
// task always fits; gRPC's default of 4 MiB would refuse it. Batches are cut to
// this size by their makers.
inline constexpr size_t kGrpcMessageBytesMax = 8 * 1024 * 1024;
// What makers of batches aim for: beyond it a larger message saves nothing and
// delays its first task.
inline constexpr size_t kBatchBytesTarget = 1 * 1024 * 1024;
// Tasks in one SubmitTasks call or stream message: bounds the work of one
// engine turn.
inline constexpr size_t kBatchTasksMax = 1000;
// Headers of a task: trace context, tenant, and the like.
inline constexpr size_t kHeadersMax = 64;
// Names and values together.
inline constexpr size_t kHeadersBytesMax = 16 * 1024;
// Worker labels and task tags.
inline constexpr size_t kLabelsMax = 64;
inline constexpr size_t kLabelValueBytesMax = 256;
// content_type and content_encoding: a media type with parameters.
inline constexpr size_t kContentTypeBytesMax = 256;

// --- Lists ---

inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1000;

// The page size for what a request asks: 0 means the default, and more than
// the maximum gets that.
constexpr uint32_t PageSizeFor(uint32_t asked) {
  if (asked == 0) return kPageSizeDefault;
  return asked < kPageSizeMax ? asked : kPageSizeMax;
}

// --- Tasks ---

inline constexpr uint32_t kPriorityMax = 255;
// How far ahead an ETA, a delay or an expiry may be: further is a mistake in
// units.
inline constexpr absl::Duration kEtaAheadMax = absl::Hours(24 * 3660);
// What an attempt says with its progress.
inline constexpr size_t kProgressStateBytesMax = 64;
inline constexpr size_t kProgressDetailsBytesMax = 16 * 1024;
// One chunk that an attempt appends, unless the operator says otherwise.
inline constexpr size_t kChunkBytesDefaultMax = 64 * 1024;
// What an operator may raise it to: a window of chunks must hold some.
inline constexpr size_t kChunkBytesHardMax = 1024 * 1024;
// Failures of one task before it ends.
inline constexpr uint32_t kAttemptsMax = 1'000'000;
// Growth of the back-off between attempts.
inline constexpr double kRetryMultiplierMax = 100.0;

// --- Leases and the worker stream ---

// How long a lease may live without a sign of life.
inline constexpr absl::Duration kLeaseMin = absl::Seconds(1);
inline constexpr absl::Duration kLeaseMax = absl::Hours(12);
// A third of the lease: two heartbeats may be lost.
inline constexpr absl::Duration kHeartbeatDefault = absl::Seconds(10);
inline constexpr uint32_t kSlotsMax = 65536;
// Queues and task types that one worker may name.
inline constexpr size_t kWorkerQueuesMax = 1000;
inline constexpr size_t kWorkerTaskTypesMax = 10'000;

// --- Results ---

inline constexpr absl::Duration kResultTtlDefault = absl::Hours(24);
inline constexpr absl::Duration kResultTtlMax = absl::Hours(24 * 3660);

// --- Connections ---

// A client pings an idle connection this often, to find a dead peer behind a
// silent network.
inline constexpr absl::Duration kKeepalivePing = absl::Seconds(20);
inline constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(10);
// A server lets clients ping this often before it calls them abusive: half of
// kKeepalivePing, for jitter.
inline constexpr absl::Duration kKeepalivePingPermitted = absl::Seconds(10);
// Reconnects: first wait, growth, longest wait.
inline constexpr absl::Duration kReconnectInitial = absl::Milliseconds(100);
inline constexpr absl::Duration kReconnectMax = absl::Seconds(10);
inline constexpr double kReconnectMultiplier = 1.6;
inline constexpr double kReconnectJitter = 0.2;

// --- Ports, unless flags say otherwise ---

inline constexpr int kBrokerPort = 7450;
inline constexpr int kResultsPort = 7451;
inline constexpr int kBrokerHttpPort = 9450;
inline constexpr int kResultsHttpPort = 9451;
inline constexpr int kWorkerHttpPort = 9452;

}  // namespace apium

#endif  // APIUM_COMMON_LIMITS_H_
