#include "tests/worker/fake_broker.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_callback.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace apium {

class FakeStream::Reactor final
    : public grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse> {
 public:
  explicit Reactor(std::function<void(std::shared_ptr<FakeStream>)> on_hello)
      : stream_(std::make_shared<FakeStream>(this)),
        on_hello_(std::move(on_hello)) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    bool hello = false;
    {
      absl::MutexLock lock(&stream_->mu_);
      if (!ok) {
        stream_->log_.half_closed = true;
        // A broker ends a stream that the worker has closed.
        stream_->ending_ = true;
        stream_->WriteNext();
        return;
      }
      if (request_.has_hello()) {
        hello = !stream_->greeted_;
        stream_->greeted_ = true;
        stream_->hello_ = request_.hello();
      } else {
        Note(request_.report());
      }
    }
    if (hello) on_hello_(stream_);
    StartRead(&request_);
  }

  void OnWriteDone(bool) override {
    absl::MutexLock lock(&stream_->mu_);
    stream_->writing_ = false;
    stream_->outbound_.pop_front();
    stream_->WriteNext();
  }

  void OnCancel() override {
    absl::MutexLock lock(&stream_->mu_);
    stream_->ending_ = true;
    stream_->outbound_.clear();
    if (stream_->writing_) stream_->outbound_.emplace_back();
    stream_->WriteNext();
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&stream_->mu_);
      stream_->reactor_ = nullptr;
      stream_->log_.over = true;
    }
    delete this;
  }

 private:
  void Note(const v1::WorkerReport& report)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream_->mu_) {
    StreamLog& log = stream_->log_;
    ++log.reports;
    if (report.has_heartbeat()) ++log.heartbeats;
    log.credit += report.credit();
    log.draining |= report.draining();
    for (const v1::TaskStarted& started : report.started()) {
      log.started[started.lease().epoch()] = started;
    }
    for (const v1::TaskProgress& progress : report.progress()) {
      log.progress[progress.lease().epoch()] = progress.progress();
    }
    for (const v1::LimitCharge& charge : report.charges()) {
      const uint64_t epoch = charge.lease().epoch();
      if (log.outcomes.contains(epoch)) continue;
      log.charges[{epoch, charge.limit()}] += charge.points();
    }
    for (const v1::ExecutionOutcome& outcome : report.outcomes()) {
      log.outcomes[outcome.lease().epoch()] = outcome;
      ++log.outcome_count[outcome.lease().epoch()];
    }
    for (const v1::ControlReply& reply : report.control_replies()) {
      log.control_replies[reply.control_id()] = reply;
    }
  }

  const std::shared_ptr<FakeStream> stream_;
  const std::function<void(std::shared_ptr<FakeStream>)> on_hello_;
  v1::WorkRequest request_;
};

v1::Hello FakeStream::hello() {
  absl::MutexLock lock(&mu_);
  return hello_;
}

void FakeStream::WriteNext() {
  if (reactor_ == nullptr || writing_ || finished_) return;
  if (!outbound_.empty()) {
    writing_ = true;
    reactor_->StartWrite(&outbound_.front());
  } else if (ending_) {
    finished_ = true;
    reactor_->Finish(end_status_);
  }
}

void FakeStream::Send(v1::WorkResponse response) {
  absl::MutexLock lock(&mu_);
  outbound_.push_back(std::move(response));
  WriteNext();
}

void FakeStream::Welcome(const std::string& session_id,
                         std::function<void(v1::Welcome*)> change) {
  v1::WorkResponse response;
  v1::Welcome* welcome = response.mutable_welcome();
  welcome->set_session_id(session_id);
  welcome->mutable_lease_duration()->set_seconds(3600);
  welcome->mutable_heartbeat_interval()->set_seconds(1200);
  welcome->set_max_credit(65536);
  if (change) change(welcome);
  Send(std::move(response));
}

void FakeStream::Push(const std::function<void(v1::BrokerPush*)>& fill) {
  v1::WorkResponse response;
  fill(response.mutable_push());
  Send(std::move(response));
}

void FakeStream::Deliver(const std::vector<uint64_t>& epochs,
                         const std::string& type, const std::string& json,
                         const std::function<void(v1::TaskSpec*)>& change) {
  Push([&](v1::BrokerPush* push) {
    for (uint64_t epoch : epochs) {
      v1::Delivery* delivery = push->add_deliveries();
      delivery->mutable_lease()->set_task_id(absl::StrCat("task-", epoch));
      delivery->mutable_lease()->set_attempt(1);
      delivery->mutable_lease()->set_epoch(epoch);
      delivery->mutable_spec()->set_task_id(absl::StrCat("task-", epoch));
      delivery->mutable_spec()->set_type(type);
      if (!json.empty()) {
        *delivery->mutable_spec()->mutable_payload() = JsonArguments(json);
      }
      if (change) change(delivery->mutable_spec());
    }
  });
}

void FakeStream::Acknowledge(const std::vector<uint64_t>& epochs) {
  Push([&](v1::BrokerPush* push) {
    for (uint64_t epoch : epochs) push->add_acknowledged_epochs(epoch);
  });
}

void FakeStream::Cancel(uint64_t epoch, const std::string& reason) {
  Push([&](v1::BrokerPush* push) {
    v1::CancelExecution* cancel = push->add_cancels();
    cancel->mutable_lease()->set_epoch(epoch);
    cancel->set_reason(reason);
  });
}

void FakeStream::End(grpc::Status status) {
  absl::MutexLock lock(&mu_);
  ending_ = true;
  end_status_ = std::move(status);
  WriteNext();
}

bool FakeStream::Await(const std::function<bool(const StreamLog&)>& condition) {
  absl::MutexLock lock(&mu_);
  auto met = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return condition(log_) || log_.over;
  };
  mu_.AwaitWithTimeout(absl::Condition(&met), kTestPatience);
  return condition(log_);
}

StreamLog FakeStream::log() {
  absl::MutexLock lock(&mu_);
  return log_;
}

class FakeBroker::Service final : public v1::WorkerService::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* Work(
      grpc::CallbackServerContext*) override {
    {
      absl::MutexLock lock(&mu_);
      ++opened_;
    }
    return new FakeStream::Reactor([this](std::shared_ptr<FakeStream> stream) {
      absl::MutexLock lock(&mu_);
      streams_.push_back(std::move(stream));
    });
  }

  std::shared_ptr<FakeStream> NextStream() {
    absl::MutexLock lock(&mu_);
    auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return !streams_.empty();
    };
    if (!mu_.AwaitWithTimeout(absl::Condition(&some), kTestPatience)) {
      return nullptr;
    }
    std::shared_ptr<FakeStream> stream = std::move(streams_.front());
    streams_.pop_front();
    return stream;
  }

  int opened() {
    absl::MutexLock lock(&mu_);
    return opened_;
  }

 private:
  absl::Mutex mu_;
  std::deque<std::shared_ptr<FakeStream>> streams_ ABSL_GUARDED_BY(mu_);
  int opened_ ABSL_GUARDED_BY(mu_) = 0;
};

FakeBroker::FakeBroker() : service_(std::make_unique<Service>()) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port_);
  builder.SetMaxReceiveMessageSize(kGrpcMessageBytesMax);
  builder.SetMaxSendMessageSize(kGrpcMessageBytesMax);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
}

FakeBroker::~FakeBroker() {
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
}

std::string FakeBroker::target() const {
  return absl::StrCat("127.0.0.1:", port_);
}

std::shared_ptr<FakeStream> FakeBroker::NextStream() {
  return service_->NextStream();
}

int FakeBroker::streams_opened() { return service_->opened(); }

v1::Payload JsonArguments(const std::string& json) {
  v1::Payload payload;
  payload.set_content_type("application/json");
  payload.set_data(json);
  return payload;
}

}  // namespace apium
