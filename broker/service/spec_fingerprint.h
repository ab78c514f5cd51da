#ifndef APIUM_BROKER_SERVICE_SPEC_FINGERPRINT_H_
#define APIUM_BROKER_SERVICE_SPEC_FINGERPRINT_H_

#include "common/fingerprint.h"

namespace apium::v1 {
class SubmitTasksRequest;
class TaskSpec;
}  // namespace apium::v1

namespace apium::broker {

// Tells whether two submits under one id carry the same content. Of what was
// sent, not of what it means with the defaults filled in: a submitter repeats
// its bytes, while defaults may change between versions. Without the id.
Fingerprint SpecFingerprint(const v1::TaskSpec& spec);

// The same with the id: what a request with an id asks for.
Fingerprint RequestFingerprint(const v1::TaskSpec& spec);
// Of an atomic submit.
Fingerprint RequestFingerprint(const v1::SubmitTasksRequest& request);

}  // namespace apium::broker

#endif  // APIUM_BROKER_SERVICE_SPEC_FINGERPRINT_H_
