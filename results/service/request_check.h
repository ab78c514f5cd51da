// Requests of readers become commands: what can be checked without the store is
// checked here, and each error names its field.

#ifndef APIUM_RESULTS_SERVICE_REQUEST_CHECK_H_
#define APIUM_RESULTS_SERVICE_REQUEST_CHECK_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "results/command.h"

namespace apium::v1 {
class ForgetResultRequest;
class GetResultRequest;
class ListResultsRequest;
class PublishHello;
class WaitResultRequest;
class WatchResultsRequest;
}  // namespace apium::v1

namespace apium::results {

// Any thread.
class RequestCheck {
 public:
  // Readers may name these namespaces.
  explicit RequestCheck(absl::flat_hash_set<std::string> namespaces)
      : namespaces_(std::move(namespaces)) {}

  // All: INVALID_ARGUMENT / INVALID_FIELD; NOT_FOUND / NAMESPACE_NOT_FOUND. The
  // call's id is left for the caller to set.
  absl::StatusOr<GetResult> Get(const v1::GetResultRequest& request) const;
  absl::StatusOr<WaitResult> Wait(const v1::WaitResultRequest& request) const;
  absl::StatusOr<ListResults> List(const v1::ListResultsRequest& request) const;
  absl::StatusOr<ForgetResult> Forget(
      const v1::ForgetResultRequest& request) const;
  absl::StatusOr<WatchBegin> Watch(
      const v1::WatchResultsRequest& request) const;

 private:
  // The namespace that a request names.
  absl::StatusOr<std::string> NamespaceOf(const std::string& name) const;

  const absl::flat_hash_set<std::string> namespaces_;
};

// INVALID_ARGUMENT when the shard id is empty or not a name.
absl::Status CheckHello(const v1::PublishHello& hello);

}  // namespace apium::results

#endif  // APIUM_RESULTS_SERVICE_REQUEST_CHECK_H_
