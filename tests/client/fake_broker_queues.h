// The queues of the FakeBroker. Private to it.

#ifndef APIUM_TESTS_CLIENT_FAKE_BROKER_QUEUES_H_
#define APIUM_TESTS_CLIENT_FAKE_BROKER_QUEUES_H_

#include <google/protobuf/util/field_mask_util.h>

#include <string>

#include "common/error_reason.h"
#include "common/rpc/grpc_status.h"
#include "common/strings.h"
#include "tests/client/fake_broker.h"

namespace apium {

class FakeBroker::Queues final : public v1::QueueService::Service {
 public:
  explicit Queues(FakeBroker* broker) : broker_(broker) {}

  grpc::Status CreateQueue(grpc::ServerContext*,
                           const v1::CreateQueueRequest* request,
                           v1::CreateQueueResponse* response) override {
    if (absl::Status status = broker_->Enter("CreateQueue"); !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    auto [queue, is_new] =
        broker_->queues_.emplace(request->queue().name(), request->queue());
    if (!is_new) {
      return ToGrpcStatus(
          WithReason(absl::AlreadyExistsError(
                         StrCat("queue ", request->queue().name(), " exists")),
                     reason::kQueueExists));
    }
    *response->mutable_queue() = queue->second;
    return grpc::Status::OK;
  }
  grpc::Status GetQueue(grpc::ServerContext*,
                        const v1::GetQueueRequest* request,
                        v1::GetQueueResponse* response) override {
    return With(request->name(),
                [&](v1::Queue& queue) { *response->mutable_queue() = queue; });
  }
  grpc::Status ListQueues(grpc::ServerContext*, const v1::ListQueuesRequest*,
                          v1::ListQueuesResponse* response) override {
    absl::MutexLock lock(&broker_->mu_);
    for (const auto& [name, queue] : broker_->queues_)
      *response->add_queues() = queue;
    return grpc::Status::OK;
  }
  grpc::Status UpdateQueue(grpc::ServerContext*,
                           const v1::UpdateQueueRequest* request,
                           v1::UpdateQueueResponse* response) override {
    using google::protobuf::util::FieldMaskUtil;
    bool stale = false;
    const grpc::Status found =
        With(request->queue().name(), [&](v1::Queue& queue) {
          const std::string& etag = request->queue().etag();
          stale = !etag.empty() && etag != queue.etag();
          if (stale) return;
          FieldMaskUtil::MergeOptions options;
          options.set_replace_message_fields(true);
          options.set_replace_repeated_fields(true);
          FieldMaskUtil::MergeMessageTo(
              request->queue(), request->update_mask(), options, &queue);
          queue.set_etag(StrCat("etag-", ++broker_->etags_));
          *response->mutable_queue() = queue;
        });
    if (!stale) return found;
    return ToGrpcStatus(WithReason(
        absl::AbortedError("the queue has another etag"), "ETAG_MISMATCH"));
  }
  grpc::Status DeleteQueue(grpc::ServerContext*,
                           const v1::DeleteQueueRequest* request,
                           v1::DeleteQueueResponse*) override {
    grpc::Status status = With(request->name(), [](v1::Queue&) {});
    absl::MutexLock lock(&broker_->mu_);
    broker_->queues_.erase(request->name());
    return status;
  }
  grpc::Status PauseQueue(grpc::ServerContext*,
                          const v1::PauseQueueRequest* request,
                          v1::PauseQueueResponse* response) override {
    return With(request->name(), [&](v1::Queue& queue) {
      queue.set_paused(true);
      queue.set_paused_by(request->paused_by());
      queue.set_pause_reason(request->reason());
      *response->mutable_queue() = queue;
    });
  }
  grpc::Status ResumeQueue(grpc::ServerContext*,
                           const v1::ResumeQueueRequest* request,
                           v1::ResumeQueueResponse* response) override {
    return With(request->name(), [&](v1::Queue& queue) {
      queue.set_paused(false);
      *response->mutable_queue() = queue;
    });
  }
  grpc::Status PurgeQueue(grpc::ServerContext*,
                          const v1::PurgeQueueRequest* request,
                          v1::PurgeQueueResponse* response) override {
    return With(request->name(), [&](v1::Queue& queue) {
      response->set_purged(queue.counts().ready());
      queue.mutable_counts()->set_ready(0);
    });
  }
  grpc::Status PeekQueue(grpc::ServerContext*,
                         const v1::PeekQueueRequest* request,
                         v1::PeekQueueResponse* response) override {
    return With(request->name(), [&](v1::Queue&) {
      for (const auto& [id, task] : broker_->tasks_) {
        if (task.spec().queue() != request->name()) continue;
        if (response->tasks_size() < static_cast<int>(request->max_tasks()))
          *response->add_tasks() = task;
      }
    });
  }
  grpc::Status ExplainQueue(grpc::ServerContext*,
                            const v1::ExplainQueueRequest* request,
                            v1::ExplainQueueResponse* response) override {
    return With(request->name(), [&](v1::Queue&) {
      for (const v1::WaitReason& reason : broker_->reasons_[request->name()])
        *response->add_reasons() = reason;
    });
  }
  grpc::Status ReleaseOrderingKey(grpc::ServerContext*,
                                  const v1::ReleaseOrderingKeyRequest* request,
                                  v1::ReleaseOrderingKeyResponse*) override {
    if (absl::Status status = broker_->Enter("ReleaseOrderingKey");
        !status.ok())
      return ToGrpcStatus(status);
    absl::MutexLock lock(&broker_->mu_);
    if (broker_->blocked_keys_.erase(
            {request->queue(), request->ordering_key()}) > 0)
      return grpc::Status::OK;
    return ToGrpcStatus(
        WithReason(absl::FailedPreconditionError("the key is not blocked"),
                   "ORDERING_KEY_NOT_BLOCKED"));
  }

 private:
  template <typename Change>
  grpc::Status With(const std::string& name, const Change& change) {
    absl::MutexLock lock(&broker_->mu_);
    auto queue = broker_->queues_.find(name);
    if (queue == broker_->queues_.end()) {
      return ToGrpcStatus(WithReason(
          absl::NotFoundError(StrCat("queue ", name, " was not found")),
          reason::kQueueNotFound));
    }
    change(queue->second);
    return grpc::Status::OK;
  }

  FakeBroker* const broker_;
};

}  // namespace apium

#endif  // APIUM_TESTS_CLIENT_FAKE_BROKER_QUEUES_H_
