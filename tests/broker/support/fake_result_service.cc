#include "tests/broker/support/fake_result_service.h"

#include <grpcpp/create_channel.h>

#include <utility>

#include "common/check.h"

namespace apium::broker {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

}  // namespace

// The synchronous API: a thread for each stream is fine here.
class FakeResultService::Service final : public v1::ResultService::Service {
 public:
  explicit Service(FakeResultService* fake) : fake_(fake) {}

  grpc::Status PublishOutcomes(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::PublishOutcomesResponse,
                               v1::PublishOutcomesRequest>* stream) override {
    v1::PublishOutcomesRequest request;
    v1::PublishOutcomesResponse response;
    uint64_t generation = 0;
    while (stream->Read(&request)) {
      {
        absl::MutexLock lock(&fake_->mu_);
        if (request.has_hello()) {
          generation = fake_->generation_;
          fake_->hellos_.push_back(request.hello().shard_id());
        } else {
          if (generation != fake_->generation_) {
            return {grpc::StatusCode::UNAVAILABLE, "broken by the test"};
          }
          const v1::OutcomeBatch& batch = request.batch();
          if (batch.position() != fake_->recorded_ + 1) {
            return {grpc::StatusCode::INVALID_ARGUMENT, "a gap"};
          }
          fake_->recorded_ = batch.position();
          fake_->positions_.push_back(batch.position());
          for (const v1::TaskOutcome& outcome : batch.outcomes()) {
            fake_->task_ids_.push_back(outcome.task_id());
            fake_->outcomes_[outcome.task_id()] = outcome;
          }
        }
        if (!fake_->confirming_ && !request.has_hello()) continue;
        response.set_confirmed_position(fake_->recorded_);
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status GetResult(grpc::ServerContext*,
                         const v1::GetResultRequest* request,
                         v1::GetResultResponse* response) override {
    absl::MutexLock lock(&fake_->mu_);
    const auto it = fake_->outcomes_.find(request->task_id());
    if (it == fake_->outcomes_.end()) {
      return {grpc::StatusCode::NOT_FOUND, "no such result"};
    }
    *response->mutable_outcome() = it->second;
    return grpc::Status::OK;
  }

  grpc::Status ForgetResult(grpc::ServerContext*,
                            const v1::ForgetResultRequest* request,
                            v1::ForgetResultResponse*) override {
    absl::MutexLock lock(&fake_->mu_);
    if (fake_->outcomes_.erase(request->task_id()) == 0) {
      return {grpc::StatusCode::NOT_FOUND, "no such result"};
    }
    return grpc::Status::OK;
  }

  grpc::Status ListResults(grpc::ServerContext*,
                           const v1::ListResultsRequest* request,
                           v1::ListResultsResponse* response) override {
    absl::MutexLock lock(&fake_->mu_);
    // The token is the last id of the page before.
    auto it = fake_->outcomes_.upper_bound(request->page_token());
    if (request->page_token().empty()) it = fake_->outcomes_.begin();
    for (; it != fake_->outcomes_.end(); ++it) {
      if (response->outcomes_size() == static_cast<int>(request->page_size())) {
        response->set_next_page_token(
            response->outcomes(response->outcomes_size() - 1).task_id());
        break;
      }
      *response->add_outcomes() = it->second;
    }
    return grpc::Status::OK;
  }

 private:
  FakeResultService* const fake_;
};

FakeResultService::FakeResultService()
    : service_(std::make_unique<Service>(this)) {
  auto server = RpcServer::Start(
      {.listen_address = "127.0.0.1:0", .services = {service_.get()}});
  APIUM_CHECK_OK(server);
  server_ = *std::move(server);
  target_ = server_->local_target();
}

FakeResultService::~FakeResultService() { Stop(); }

std::shared_ptr<grpc::Channel> FakeResultService::Channel() {
  return grpc::CreateChannel(target_, grpc::InsecureChannelCredentials());
}

void FakeResultService::Stop() {
  if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
  server_.reset();
}

void FakeResultService::SetRecorded(uint64_t position) {
  absl::MutexLock lock(&mu_);
  recorded_ = position;
}

void FakeResultService::SetConfirming(bool confirming) {
  absl::MutexLock lock(&mu_);
  confirming_ = confirming;
}

void FakeResultService::BreakStreams() {
  absl::MutexLock lock(&mu_);
  ++generation_;
}

template <typename Predicate>
void FakeResultService::Await(Predicate predicate) {
  mu_.AwaitWithTimeout(absl::Condition(
                           +[](Predicate* p) { return (*p)(); }, &predicate),
                       kLong);
}

std::vector<uint64_t> FakeResultService::Positions(size_t count) {
  absl::MutexLock lock(&mu_);
  Await([this, count] {
    mu_.AssertHeld();
    return positions_.size() >= count;
  });
  return positions_;
}

std::vector<std::string> FakeResultService::TaskIds() {
  absl::MutexLock lock(&mu_);
  return task_ids_;
}

std::vector<std::string> FakeResultService::Hellos(size_t count) {
  absl::MutexLock lock(&mu_);
  Await([this, count] {
    mu_.AssertHeld();
    return hellos_.size() >= count;
  });
  return hellos_;
}

}  // namespace apium::broker
