#ifndef APIUM_BROKER_ENGINE_OUTCOME_SIZE_H_
#define APIUM_BROKER_ENGINE_OUTCOME_SIZE_H_

#include <cstddef>

#include "broker/engine/task.h"

namespace apium::broker {

// What an outcome takes in memory, or in a message: result, failure, history,
// headers, and a share for names, times and numbers.
size_t OutcomeBytes(const Outcome& outcome);

}  // namespace apium::broker

#endif  // APIUM_BROKER_ENGINE_OUTCOME_SIZE_H_
