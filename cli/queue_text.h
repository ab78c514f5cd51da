// Queues as people read them.

#ifndef APIUM_CLI_QUEUE_TEXT_H_
#define APIUM_CLI_QUEUE_TEXT_H_

#include <google/protobuf/repeated_ptr_field.h>

#include "apium/v1/queue_service.pb.h"
#include "cli/output.h"

namespace apium::cli {

// A line for each queue with its counts; names only if quiet.
void PrintQueueTable(
    const google::protobuf::RepeatedPtrField<v1::Queue>& queues,
    const Output& output);

// Everything about a queue, in the format that was chosen. Settings that are
// the default are left out of the text.
void PrintQueue(const v1::Queue& queue, const Output& output);

}  // namespace apium::cli

#endif  // APIUM_CLI_QUEUE_TEXT_H_
