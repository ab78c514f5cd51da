// Tells ThreadSanitizer about gRPC's completion queues.
//
// Debian's gRPC is not instrumented. What a thread does before it starts an
// operation happens before what the thread does that is given the operation's
// tag; both sides pass through the C functions below, which this file defines
// in the executable, where the dynamic linker finds them first. The callback
// API is covered too: on Linux its reactions are run by threads of libgrpc++
// that take tags from a queue with grpc_completion_queue_next.

#include <grpc/grpc.h>

#include "tools/sanitizers/library_symbol.h"

#define APIUM_SYMBOL(name) \
  static void* const symbol = apium::LibrarySymbol(name)

extern "C" {

grpc_call_error grpc_call_start_batch(grpc_call* call,
                                      const grpc_op* operations,
                                      size_t operation_count, void* tag,
                                      void* reserved) {
  APIUM_SYMBOL("grpc_call_start_batch");
  __tsan_release(tag);
  return apium::CallSymbol<grpc_call_error>(symbol, call, operations,
                                            operation_count, tag, reserved);
}

grpc_call_error grpc_server_request_call(
    grpc_server* server, grpc_call** call, grpc_call_details* details,
    grpc_metadata_array* request_metadata, grpc_completion_queue* bound_to_call,
    grpc_completion_queue* for_notification, void* tag) {
  APIUM_SYMBOL("grpc_server_request_call");
  __tsan_release(tag);
  return apium::CallSymbol<grpc_call_error>(symbol, server, call, details,
                                            request_metadata, bound_to_call,
                                            for_notification, tag);
}

grpc_call_error grpc_server_request_registered_call(
    grpc_server* server, void* registered_method, grpc_call** call,
    gpr_timespec* deadline, grpc_metadata_array* request_metadata,
    grpc_byte_buffer** optional_payload, grpc_completion_queue* bound_to_call,
    grpc_completion_queue* for_notification, void* tag) {
  APIUM_SYMBOL("grpc_server_request_registered_call");
  __tsan_release(tag);
  return apium::CallSymbol<grpc_call_error>(
      symbol, server, registered_method, call, deadline, request_metadata,
      optional_payload, bound_to_call, for_notification, tag);
}

void grpc_server_shutdown_and_notify(grpc_server* server,
                                     grpc_completion_queue* queue, void* tag) {
  APIUM_SYMBOL("grpc_server_shutdown_and_notify");
  __tsan_release(tag);
  apium::CallSymbol<void>(symbol, server, queue, tag);
}

void grpc_channel_watch_connectivity_state(
    grpc_channel* channel, grpc_connectivity_state last_observed,
    gpr_timespec deadline, grpc_completion_queue* queue, void* tag) {
  APIUM_SYMBOL("grpc_channel_watch_connectivity_state");
  __tsan_release(tag);
  apium::CallSymbol<void>(symbol, channel, last_observed, deadline, queue, tag);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                      gpr_timespec deadline, void* reserved) {
  APIUM_SYMBOL("grpc_completion_queue_next");
  const grpc_event event =
      apium::CallSymbol<grpc_event>(symbol, queue, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  APIUM_SYMBOL("grpc_completion_queue_pluck");
  const grpc_event event =
      apium::CallSymbol<grpc_event>(symbol, queue, tag, deadline, reserved);
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

// A server waits for the end of all calls before it goes, in atomics of the
// library: what a handler did happens before whatever follows the destruction
// of its server. Calls do not name their server here, so one address serves
// all.
static char ended_calls;

void grpc_call_unref(grpc_call* call) {
  APIUM_SYMBOL("grpc_call_unref");
  __tsan_release(&ended_calls);
  apium::CallSymbol<void>(symbol, call);
}

void grpc_server_destroy(grpc_server* server) {
  APIUM_SYMBOL("grpc_server_destroy");
  apium::CallSymbol<void>(symbol, server);
  __tsan_acquire(&ended_calls);
}

// grpc::internal::ServerCallbackCall::ScheduleOnDone(bool): whoever drops the
// last of a call's references runs OnDone and destroys the call. Some are
// dropped in gRPC's headers, where the sanitizer sees the atomic, and some in
// the library, where it does not: the last one takes what the others left. The
// counter follows the virtual table and one other counter.
void ApiumScheduleOnDone(char* call, bool inline_ondone) __asm__(
    "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");

void ApiumScheduleOnDone(char* call, bool inline_ondone) {
  APIUM_SYMBOL("_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");
  __tsan_acquire(call + sizeof(void*) + sizeof(int));
  apium::CallSymbol<void>(symbol, call, inline_ondone);
}

}  // extern "C"
