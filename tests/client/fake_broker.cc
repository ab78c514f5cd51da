#include "tests/client/fake_broker.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "tests/client/fake_broker_queues.h"

namespace apium {
namespace {

absl::Status TaskNotFound(const std::string& id) {
  return WithReason(absl::NotFoundError(StrCat("task ", id, " was not found")),
                    reason::kTaskNotFound);
}

bool Terminal(const v1::Task& task) {
  return task.state() >= v1::TASK_STATE_SUCCEEDED;
}

}  // namespace

// One StreamTasks call: a message that is read is answered by one message,
// later if answers are held.
class FakeBroker::Stream final
    : public grpc::ServerBidiReactor<v1::StreamTasksRequest,
                                     v1::StreamTasksResponse> {
 public:
  // Lives until OnDone, and as long as somebody looks at it.
  static std::shared_ptr<Stream> Start(FakeBroker* broker) {
    std::shared_ptr<Stream> stream(new Stream(broker));
    stream->self_ = stream;
    stream->StartRead(&stream->request_);
    return stream;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return End(absl::OkStatus());
    {
      absl::MutexLock lock(&broker_->mu_);
      if (request_.has_open()) {
        report_outcomes_ = request_.open().report_outcomes();
        v1::StreamTasksResponse opened;
        opened.mutable_opened()->set_window(broker_->window_);
        pending_.push_front(opened);
        broker_->streams_.insert(self_);
      } else {
        TakeIn();
      }
    }
    Pump();
    StartRead(&request_);
  }

  void OnWriteDone(bool) override {
    {
      absl::MutexLock lock(&broker_->mu_);
      writing_ = false;
    }
    Pump();
  }

  void OnDone() override {
    const std::shared_ptr<Stream> last = std::move(self_);
  }

  // Writes the next answer if it may. gRPC is called under the lock, so that
  // no write begins after the end.
  void Pump() {
    absl::MutexLock lock(&broker_->mu_);
    if (writing_ || ended_ || pending_.empty()) return;
    if (broker_->hold_answers_ && !pending_.front().has_opened()) return;
    writing_ = true;
    response_ = std::move(pending_.front());
    pending_.pop_front();
    StartWrite(&response_);
  }

  void End(const absl::Status& status) {
    absl::MutexLock lock(&broker_->mu_);
    if (std::exchange(ended_, true)) return;
    broker_->streams_.erase(self_);
    Finish(ToGrpcStatus(status));
  }

 private:
  explicit Stream(FakeBroker* broker) : broker_(broker) {}

  void TakeIn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(broker_->mu_) {
    v1::StreamTasksResponse response;
    broker_->batch_sizes_.push_back(request_.batch().specs_size());
    for (const v1::TaskSpec& spec : request_.batch().specs()) {
      ++sequence_;
      broker_->streamed_ids_.push_back(spec.task_id());
      if (broker_->forget_tasks_) continue;
      v1::StreamSubmitResult* result =
          response.mutable_results()->add_submitted();
      result->set_sequence(broker_->wrong_sequence_ ? sequence_ + 1'000'000
                                                    : sequence_);
      if (!broker_->attach_to_.empty()) {
        result->set_task_id(broker_->attach_to_);
        result->set_attached(true);
        if (report_outcomes_) {
          *response.mutable_results()->add_outcomes() =
              broker_->tasks_[broker_->attach_to_].outcome();
        }
      } else if (absl::Status status = broker_->Accept(spec); !status.ok()) {
        result->mutable_error()->set_code(static_cast<int>(status.code()));
        result->mutable_error()->set_message(std::string(status.message()));
        result->mutable_error()->set_reason(ReasonOf(status));
      } else if (report_outcomes_ && broker_->finish_at_once_) {
        *response.mutable_results()->add_outcomes() =
            broker_->tasks_[spec.task_id()].outcome();
      }
    }
    if (!broker_->forget_tasks_) pending_.push_back(std::move(response));
  }

  FakeBroker* const broker_;
  v1::StreamTasksRequest request_;
  v1::StreamTasksResponse response_;
  // All guarded by the broker's mutex.
  std::shared_ptr<Stream> self_;
  std::deque<v1::StreamTasksResponse> pending_;
  uint64_t sequence_ = 0;
  bool report_outcomes_ = false;
  bool writing_ = false;
  bool ended_ = false;
};

class FakeBroker::Tasks final
    : public v1::TaskService::WithCallbackMethod_StreamTasks<
          v1::TaskService::Service> {
 public:
  explicit Tasks(FakeBroker* broker) : broker_(broker) {}

  grpc::ServerBidiReactor<v1::StreamTasksRequest, v1::StreamTasksResponse>*
  StreamTasks(grpc::CallbackServerContext*) override {
    const std::shared_ptr<Stream> stream = Stream::Start(broker_);
    if (absl::Status status = broker_->Enter("StreamTasks"); !status.ok()) {
      stream->End(status);
    }
    return stream.get();
  }

  grpc::Status SubmitTask(grpc::ServerContext* context,
                          const v1::SubmitTaskRequest* request,
                          v1::SubmitTaskResponse* response) override {
    if (absl::Status status = broker_->Enter("SubmitTask"); !status.ok())
      return ToGrpcStatus(status);
    {
      absl::MutexLock lock(&broker_->mu_);
      auto agent = context->client_metadata().find("user-agent");
      if (agent != context->client_metadata().end()) {
        broker_->user_agent_ =
            std::string(agent->second.data(), agent->second.size());
      }
      broker_->last_submit_ = *request;
      v1::TaskSpec spec = request->spec();
      // The same request gets the same id.
      if (spec.task_id().empty())
        spec.set_task_id(StrCat("minted-", request->request_id()));
      response->set_task_id(spec.task_id());
      for (const std::string& id : broker_->copies_)
        response->add_copy_task_ids(id);
      if (!broker_->attach_to_.empty()) {
        response->set_task_id(broker_->attach_to_);
        response->set_attached(true);
      } else if (absl::Status status = broker_->Accept(spec); !status.ok()) {
        return ToGrpcStatus(status);
      }
    }
    return ToGrpcStatus(broker_->LostAnswer("SubmitTask"));
  }

  grpc::Status SubmitTasks(grpc::ServerContext*,
                           const v1::SubmitTasksRequest* request,
                           v1::SubmitTasksResponse* response) override {
    if (absl::Status status = broker_->Enter("SubmitTasks"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    for (const v1::TaskSpec& spec : request->specs()) {
      v1::SubmitTasksResult* result = response->add_results();
      absl::Status status = broker_->Accept(spec);
      if (!broker_->attach_to_.empty()) {
        result->set_task_id(broker_->attach_to_);
        result->set_attached(true);
      } else if (status.ok()) {
        result->set_task_id(spec.task_id());
        for (const std::string& id : broker_->copies_)
          result->add_copy_task_ids(id);
      } else {
        result->mutable_error()->set_code(static_cast<int>(status.code()));
        result->mutable_error()->set_message(std::string(status.message()));
        result->mutable_error()->set_reason(ReasonOf(status));
        result->mutable_error()->set_field("spec.queue");
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status GetTask(grpc::ServerContext*, const v1::GetTaskRequest* request,
                       v1::GetTaskResponse* response) override {
    if (absl::Status status = broker_->Enter("GetTask"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    auto task = broker_->tasks_.find(request->task_id());
    if (task == broker_->tasks_.end())
      return ToGrpcStatus(TaskNotFound(request->task_id()));
    *response->mutable_task() = task->second;
    return grpc::Status::OK;
  }

  grpc::Status WaitTask(grpc::ServerContext* context,
                        const v1::WaitTaskRequest* request,
                        v1::WaitTaskResponse* response) override {
    if (absl::Status status = broker_->Enter("WaitTask"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    while (!broker_->stopping_ && !context->IsCancelled()) {
      auto task = broker_->tasks_.find(request->task_id());
      if (task == broker_->tasks_.end())
        return ToGrpcStatus(TaskNotFound(request->task_id()));
      if (Terminal(task->second)) {
        *response->mutable_task() = task->second;
        return grpc::Status::OK;
      }
      // IsCancelled has no notification in the synchronous API, so it is looked
      // at again and again.
      broker_->changed_.WaitWithTimeout(&broker_->mu_, absl::Milliseconds(20));
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
  }

  grpc::Status WatchTask(
      grpc::ServerContext* context, const v1::WatchTaskRequest* request,
      grpc::ServerWriter<v1::WatchTaskResponse>* writer) override {
    if (absl::Status status = broker_->Enter("WatchTask"); !status.ok())
      return ToGrpcStatus(status);
    std::string last;
    while (!context->IsCancelled()) {
      v1::WatchTaskResponse response;
      {
        absl::MutexLock lock(&broker_->mu_);
        if (broker_->stopping_) break;
        auto task = broker_->tasks_.find(request->task_id());
        if (task == broker_->tasks_.end())
          return ToGrpcStatus(TaskNotFound(request->task_id()));
        *response.mutable_task() = task->second;
        if (task->second.SerializeAsString() == last) {
          broker_->changed_.WaitWithTimeout(&broker_->mu_,
                                            absl::Milliseconds(20));
          continue;
        }
        last = task->second.SerializeAsString();
      }
      writer->Write(response);
      if (Terminal(response.task())) return grpc::Status::OK;
      if (absl::Status status = broker_->LostAnswer("WatchTask"); !status.ok())
        return ToGrpcStatus(status);
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
  }

  // A message for each chunk, so that each may be the last of a stream.
  grpc::Status FollowTask(
      grpc::ServerContext* context, const v1::FollowTaskRequest* request,
      grpc::ServerWriter<v1::FollowTaskResponse>* writer) override {
    if (absl::Status status = broker_->Enter("FollowTask"); !status.ok())
      return ToGrpcStatus(status);
    uint64_t next = request->from();
    while (!context->IsCancelled()) {
      v1::FollowTaskResponse response;
      {
        absl::MutexLock lock(&broker_->mu_);
        if (broker_->stopping_) break;
        auto task = broker_->tasks_.find(request->task_id());
        if (task == broker_->tasks_.end())
          return ToGrpcStatus(TaskNotFound(request->task_id()));
        const auto& chunks = broker_->chunks_[request->task_id()];
        if (next <= chunks.size()) {
          *response.add_chunks() = chunks[next - 1];
          ++next;
        } else if (Terminal(task->second)) {
          *response.mutable_task() = task->second;
        } else {
          broker_->changed_.WaitWithTimeout(&broker_->mu_,
                                            absl::Milliseconds(20));
          continue;
        }
      }
      writer->Write(response);
      if (response.has_task()) return grpc::Status::OK;
      if (absl::Status status = broker_->LostAnswer("FollowTask"); !status.ok())
        return ToGrpcStatus(status);
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
  }

  grpc::Status ListTasks(grpc::ServerContext*,
                         const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override {
    if (absl::Status status = broker_->Enter("ListTasks"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    const uint32_t page_size =
        request->page_size() == 0 ? 100 : request->page_size();
    for (auto task = broker_->tasks_.upper_bound(request->page_token());
         task != broker_->tasks_.end(); ++task) {
      if (static_cast<uint32_t>(response->tasks_size()) == page_size) {
        response->set_next_page_token(
            response->tasks(response->tasks_size() - 1).spec().task_id());
        break;
      }
      const bool state_matches =
          request->states().empty() ||
          std::find(request->states().begin(), request->states().end(),
                    task->second.state()) != request->states().end();
      if (state_matches && (request->type().empty() ||
                            request->type() == task->second.spec().type())) {
        *response->add_tasks() = task->second;
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status CancelTask(grpc::ServerContext*,
                          const v1::CancelTaskRequest* request,
                          v1::CancelTaskResponse* response) override {
    if (absl::Status status = broker_->Enter("CancelTask"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    auto task = broker_->tasks_.find(request->task_id());
    if (task == broker_->tasks_.end())
      return ToGrpcStatus(TaskNotFound(request->task_id()));
    if (!Terminal(task->second)) {
      task->second.set_state(v1::TASK_STATE_CANCELLED);
      task->second.mutable_outcome()->set_task_id(request->task_id());
      task->second.mutable_outcome()->set_state(v1::TASK_STATE_CANCELLED);
      task->second.mutable_outcome()->mutable_failure()->set_message(
          request->reason());
      broker_->changed_.SignalAll();
    }
    *response->mutable_task() = task->second;
    return grpc::Status::OK;
  }

  grpc::Status ExplainTask(grpc::ServerContext*,
                           const v1::ExplainTaskRequest* request,
                           v1::ExplainTaskResponse* response) override {
    if (absl::Status status = broker_->Enter("ExplainTask"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    auto task = broker_->tasks_.find(request->task_id());
    if (task == broker_->tasks_.end())
      return ToGrpcStatus(TaskNotFound(request->task_id()));
    response->set_state(task->second.state());
    for (const v1::WaitReason& reason : broker_->reasons_[request->task_id()])
      *response->add_reasons() = reason;
    return grpc::Status::OK;
  }

 private:
  FakeBroker* const broker_;
};

class FakeBroker::Workers final : public v1::WorkerService::Service {
 public:
  explicit Workers(FakeBroker* broker) : broker_(broker) {}

  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                           v1::ListWorkersResponse* response) override {
    absl::MutexLock lock(&broker_->mu_);
    for (const v1::Worker& worker : broker_->workers_)
      *response->add_workers() = worker;
    return grpc::Status::OK;
  }
  grpc::Status DrainWorker(grpc::ServerContext*,
                           const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse*) override {
    absl::MutexLock lock(&broker_->mu_);
    broker_->drained_.push_back(request->worker_id());
    return grpc::Status::OK;
  }

 private:
  FakeBroker* const broker_;
};

class FakeBroker::Results final : public v1::ResultService::Service {
 public:
  explicit Results(FakeBroker* broker) : broker_(broker) {}

  grpc::Status GetResult(grpc::ServerContext*,
                         const v1::GetResultRequest* request,
                         v1::GetResultResponse* response) override {
    absl::MutexLock lock(&broker_->mu_);
    for (const v1::TaskOutcome& outcome : broker_->results_) {
      if (outcome.task_id() != request->task_id()) continue;
      *response->mutable_outcome() = outcome;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(
        WithReason(absl::NotFoundError("no such result"), "RESULT_NOT_FOUND"));
  }

  // The cursor is the number of results before it.
  grpc::Status WatchResults(
      grpc::ServerContext* context, const v1::WatchResultsRequest* request,
      grpc::ServerWriter<v1::WatchResultsResponse>* writer) override {
    size_t next = 0;
    int messages = 0;
    {
      absl::MutexLock lock(&broker_->mu_);
      broker_->watch_cursors_.push_back(request->after_cursor());
      next = request->after_cursor().empty()
                 ? broker_->results_.size()
                 : std::stoul(request->after_cursor());
    }
    v1::WatchResultsResponse begun;
    begun.set_cursor(StrCat(next));
    writer->Write(begun);
    while (!context->IsCancelled()) {
      v1::WatchResultsResponse response;
      {
        absl::MutexLock lock(&broker_->mu_);
        if (broker_->stopping_) break;
        if (broker_->watch_breaks_after_ > 0 &&
            messages >= broker_->watch_breaks_after_)
          break;
        if (next == broker_->results_.size()) {
          broker_->changed_.WaitWithTimeout(&broker_->mu_,
                                            absl::Milliseconds(20));
          continue;
        }
        *response.add_outcomes() = broker_->results_[next++];
        response.set_cursor(StrCat(next));
        ++messages;
      }
      writer->Write(response);
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken");
  }

 private:
  FakeBroker* const broker_;
};

class FakeBroker::Info final : public v1::ServerService::Service {
 public:
  grpc::Status GetServerInfo(grpc::ServerContext*,
                             const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    v1::ServerInfo* info = response->mutable_server_info();
    info->set_service("apium-broker");
    info->set_version("1.2.3");
    info->add_capabilities("task.priority");
    info->add_namespaces("default");
    info->mutable_limits()->set_max_payload_bytes(1 << 20);
    return grpc::Status::OK;
  }
};

FakeBroker::FakeBroker()
    : task_service_(std::make_unique<Tasks>(this)),
      queue_service_(std::make_unique<Queues>(this)),
      worker_service_(std::make_unique<Workers>(this)),
      result_service_(std::make_unique<Results>(this)),
      info_service_(std::make_unique<Info>()) {
  grpc::EnableDefaultHealthCheckService(true);
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(task_service_.get());
  builder.RegisterService(queue_service_.get());
  builder.RegisterService(worker_service_.get());
  builder.RegisterService(result_service_.get());
  builder.RegisterService(info_service_.get());
  server_ = builder.BuildAndStart();
  address_ = StrCat("127.0.0.1:", port);
}

FakeBroker::~FakeBroker() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  BreakStreams(absl::UnavailableError("stopping"));
  server_->Shutdown(absl::ToChronoTime(absl::Now()));
  server_->Wait();
}

ClientOptions FakeBroker::ClientOptionsForTest() const {
  ClientOptions options;
  options.addresses = {address_};
  options.deadline = absl::Seconds(60);
  options.retry.backoff = {.initial = absl::Milliseconds(1),
                           .multiplier = 1.5,
                           .max = absl::Milliseconds(20),
                           .jitter = 0.5};
  return options;
}

void FakeBroker::FailNext(std::string_view method, int count,
                          absl::Status status) {
  absl::MutexLock lock(&mu_);
  for (int i = 0; i < count; ++i)
    failures_[std::string(method)].push_back(status);
}

void FakeBroker::LoseAnswers(std::string_view method, int count) {
  absl::MutexLock lock(&mu_);
  lost_answers_[std::string(method)] = count;
}

int FakeBroker::calls(std::string_view method) const {
  absl::MutexLock lock(&mu_);
  auto calls = calls_.find(method);
  return calls == calls_.end() ? 0 : calls->second;
}

std::string FakeBroker::last_user_agent() const {
  absl::MutexLock lock(&mu_);
  return user_agent_;
}

std::vector<v1::Task> FakeBroker::tasks() const {
  absl::MutexLock lock(&mu_);
  std::vector<v1::Task> tasks;
  for (const auto& [id, task] : tasks_) tasks.push_back(task);
  return tasks;
}

std::vector<std::string> FakeBroker::streamed_ids() const {
  absl::MutexLock lock(&mu_);
  return streamed_ids_;
}

void FakeBroker::FinishTask(const std::string& task_id, v1::TaskState state,
                            std::string_view result_json) {
  absl::MutexLock lock(&mu_);
  v1::Task& task = tasks_[task_id];
  task.set_state(state);
  v1::TaskOutcome* outcome = task.mutable_outcome();
  outcome->set_task_id(task_id);
  outcome->set_type(task.spec().type());
  outcome->set_state(state);
  outcome->set_attempt(1);
  if (state == v1::TASK_STATE_SUCCEEDED) {
    outcome->mutable_result()->set_data(std::string(result_json));
    outcome->mutable_result()->set_content_type("application/json");
  } else {
    outcome->mutable_failure()->set_type("ValueError");
    outcome->mutable_failure()->set_message("it was wrong");
  }
  changed_.SignalAll();
}

void FakeBroker::FinishTasksAtOnce() {
  absl::MutexLock lock(&mu_);
  finish_at_once_ = true;
}

void FakeBroker::SetWindow(uint32_t window) {
  absl::MutexLock lock(&mu_);
  window_ = window;
}

void FakeBroker::HoldAnswers(bool hold) {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mu_);
    hold_answers_ = hold;
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const std::shared_ptr<Stream>& stream : streams) stream->Pump();
}

void FakeBroker::ForgetTasks(bool forget) {
  absl::MutexLock lock(&mu_);
  forget_tasks_ = forget;
}

void FakeBroker::RefuseType(std::string type) {
  absl::MutexLock lock(&mu_);
  refused_types_.insert(std::move(type));
}

void FakeBroker::BreakStreams(absl::Status status) {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mu_);
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const std::shared_ptr<Stream>& stream : streams) stream->End(status);
}

void FakeBroker::AnswerWrongSequence() {
  absl::MutexLock lock(&mu_);
  wrong_sequence_ = true;
}

size_t FakeBroker::open_streams() const {
  absl::MutexLock lock(&mu_);
  return streams_.size();
}

std::vector<int> FakeBroker::batch_sizes() const {
  absl::MutexLock lock(&mu_);
  return batch_sizes_;
}

void FakeBroker::AwaitStreamed(size_t count) const {
  const auto arrived = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return streamed_ids_.size() >= count;
  };
  absl::MutexLock lock(&mu_, absl::Condition(&arrived));
}

void FakeBroker::AddWorker(v1::Worker worker) {
  absl::MutexLock lock(&mu_);
  workers_.push_back(std::move(worker));
}

void FakeBroker::AddReason(const std::string& name, v1::WaitReason reason) {
  absl::MutexLock lock(&mu_);
  reasons_[name].push_back(std::move(reason));
}

void FakeBroker::AnswerWithCopies(std::vector<std::string> ids) {
  absl::MutexLock lock(&mu_);
  copies_ = std::move(ids);
}

void FakeBroker::BlockOrderingKey(const std::string& queue,
                                  const std::string& key) {
  absl::MutexLock lock(&mu_);
  blocked_keys_.insert({queue, key});
}

void FakeBroker::AddQueue(v1::Queue queue) {
  absl::MutexLock lock(&mu_);
  queues_[queue.name()] = queue;
}

std::vector<std::string> FakeBroker::drained_workers() const {
  absl::MutexLock lock(&mu_);
  return drained_;
}

void FakeBroker::AddResult(v1::TaskOutcome outcome) {
  absl::MutexLock lock(&mu_);
  results_.push_back(std::move(outcome));
  changed_.SignalAll();
}

void FakeBroker::AddChunk(const std::string& task_id, const std::string& data) {
  absl::MutexLock lock(&mu_);
  std::vector<v1::TaskChunk>& chunks = chunks_[task_id];
  v1::TaskChunk& chunk = chunks.emplace_back();
  chunk.set_position(chunks.size());
  chunk.set_attempt(1);
  chunk.mutable_payload()->set_data(data);
  changed_.SignalAll();
}

void FakeBroker::BreakWatchesAfter(int messages) {
  absl::MutexLock lock(&mu_);
  watch_breaks_after_ = messages;
}

std::vector<std::string> FakeBroker::watch_cursors() const {
  absl::MutexLock lock(&mu_);
  return watch_cursors_;
}

void FakeBroker::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

absl::Status FakeBroker::Enter(std::string_view method) {
  absl::MutexLock lock(&mu_);
  ++calls_[std::string(method)];
  auto failures = failures_.find(method);
  if (failures == failures_.end() || failures->second.empty())
    return absl::OkStatus();
  absl::Status status = std::move(failures->second.front());
  failures->second.pop_front();
  return status;
}

absl::Status FakeBroker::LostAnswer(std::string_view method) {
  absl::MutexLock lock(&mu_);
  auto lost = lost_answers_.find(method);
  if (lost == lost_answers_.end() || lost->second == 0) return absl::OkStatus();
  --lost->second;
  return absl::UnavailableError("the connection broke");
}

absl::Status FakeBroker::Accept(v1::TaskSpec spec) {
  if (refused_types_.contains(spec.type())) {
    return WithReason(absl::NotFoundError("queue nowhere was not found"),
                      reason::kQueueNotFound);
  }
  const std::string id = spec.task_id();
  const std::string serialized = spec.SerializeAsString();
  auto [known, is_new] = specs_.emplace(id, serialized);
  if (!is_new) {
    if (known->second == serialized) return absl::OkStatus();
    return WithReason(
        absl::AlreadyExistsError(StrCat("task ", id, " has other content")),
        reason::kTaskIdReused);
  }
  v1::Task& task = tasks_[id];
  task.mutable_spec()->Swap(&spec);
  task.set_state(v1::TASK_STATE_QUEUED);
  if (finish_at_once_) {
    task.set_state(v1::TASK_STATE_SUCCEEDED);
    task.mutable_outcome()->set_task_id(id);
    task.mutable_outcome()->set_state(v1::TASK_STATE_SUCCEEDED);
    task.mutable_outcome()->mutable_result()->set_data("true");
  }
  changed_.SignalAll();
  return absl::OkStatus();
}

}  // namespace apium
