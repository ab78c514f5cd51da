#ifndef APIUM_TESTS_RESULTS_RESULT_SERVER_FIXTURE_H_
#define APIUM_TESTS_RESULTS_RESULT_SERVER_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "apium/v1/result_service.grpc.pb.h"
#include "results/result_server.h"
#include "tests/results/result_client.h"

namespace apium::results {

// A folder below the test's own that is not there yet.
std::string FreshFolder();

// A whole result service in this process, and a client of it over gRPC on a
// free port.
class ResultServerTest : public testing::Test {
 protected:
  ResultServerTest() { config_.self_probe = false; }

  // Starts the server with config_.
  void Start();
  void StartInFolder(const std::string& folder);
  // Publishes `ids` as one batch, and waits until they are durable.
  void Publish(const std::vector<std::string>& ids);
  v1::ResultService::Stub* stub() { return stub_.get(); }
  // Scrapes until the metrics have `line`; false if they do not come to it.
  bool AwaitMetric(const std::string& line);

  ResultServerConfig config_;
  std::unique_ptr<ResultServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ResultService::Stub> stub_;
  std::unique_ptr<PublishClient> publisher_;
  uint64_t position_ = 0;
};

v1::WaitResultRequest WaitFor(const std::string& id);
v1::WatchResultsRequest WatchFrom(const std::string& cursor);
std::vector<std::string> IdsOf(const v1::ListResultsResponse& page);

}  // namespace apium::results

#endif  // APIUM_TESTS_RESULTS_RESULT_SERVER_FIXTURE_H_
