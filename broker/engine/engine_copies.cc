// Several tasks from one submit: exchanges with several matches, and broadcast
// queues.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/engine/engine_impl.h"
#include "broker/engine/task_copies.h"
#include "broker/engine/worker_labels.h"
#include "common/error_reason.h"
#include "common/names.h"
#include "common/status_macros.h"

namespace apium::broker {
namespace {

// Tasks of one submit.
constexpr size_t kCopiesMax = 1000;

size_t BytesOf(const TaskContent& content) {
  constexpr size_t kFixedBytes = 1024;
  size_t bytes = kFixedBytes + content.payload.data.size();
  for (const auto& [name, value] : content.headers)
    bytes += name.size() + value.size();
  return bytes;
}

absl::Status TooManyCopies(const std::string& how_many) {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "routing would make ", how_many,
          " of this submit; submit it to fewer queues, or keep its payload "
          "elsewhere and send a reference")),
      "TOO_MANY_COPIES");
}

}  // namespace

std::set<std::string> Engine::Impl::SubscribersOf(const Queue& queue,
                                                  const std::string& type,
                                                  const Placement* placement) {
  std::set<std::string> workers;
  const absl::StatusOr<uint32_t> type_id = queues_.InternType(type);
  if (!type_id.ok() || queue.sessions == 0) return workers;
  for (const auto& [number, session] : sessions_.all()) {
    const auto& queues = session->queues;
    if (session->connected() && !session->draining &&
        session->type_ids.contains(*type_id) &&
        (placement == nullptr ||
         HasLabels(*session, placement->required_labels)) &&
        std::any_of(queues.begin(), queues.end(),
                    [&](const Subscription& subscription) {
                      return subscription.queue == &queue;
                    }))
      workers.insert(session->worker_id);
  }
  return workers;
}

absl::Status Engine::Impl::NoSubscribers(const Queue& queue,
                                         const std::string& type) {
  return WithReason(absl::FailedPreconditionError(absl::StrCat(
                        "queue ", queue.name,
                        " is for all of its workers, and none that "
                        "can run type ",
                        type, " is connected")),
                    "NO_SUBSCRIBERS", {{"queue", queue.name}});
}

bool Engine::Impl::NeedsRouting(const SubmitCommand& submit) {
  if (submit.route != nullptr) return true;
  const Queue* queue =
      queues_.Find(submit.content->namespace_name, submit.content->queue);
  return queue != nullptr && queue->stored.settings.broadcast;
}

absl::Status Engine::Impl::FindTargets(const SubmitCommand& submit,
                                       std::vector<SubmitTarget>* targets) {
  const TaskContent& content = *submit.content;
  std::set<std::string> names = {content.queue};
  if (submit.route != nullptr) {
    APIUM_ASSIGN_OR_RETURN(
        names,
        QueuesOfRoute(content.namespace_name, *submit.route, content.headers));
  }
  for (const std::string& name : names) {
    const Queue* queue = queues_.Find(content.namespace_name, name);
    if (queue == nullptr || !queue->stored.settings.broadcast) {
      targets->push_back({.queue = name});
      continue;
    }
    if (content.placement != nullptr &&
        !content.placement->ordering_key.empty()) {
      return InvalidField("spec.ordering_key",
                          absl::StrCat("is not for queue ", name,
                                       ", all of whose workers get the task"));
    }
    const std::set<std::string> workers =
        SubscribersOf(*queue, content.type, content.placement.get());
    if (workers.empty()) return NoSubscribers(*queue, content.type);
    for (const std::string& worker : workers)
      targets->push_back({.queue = name, .worker_id = worker});
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::CheckCopies(const TaskContent& content,
                                       size_t copies, CallPlan* call) {
  if (copies == 0) return absl::OkStatus();
  if (content.unique != nullptr) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            "the unique key ", content.unique->key,
            " is for one task, and routing would make ", copies + 1)),
        "UNIQUE_KEY_COPIES", {{"unique_key", content.unique->key}});
  }
  if (copies >= kCopiesMax) {
    return TooManyCopies(absl::StrCat(copies + 1, " tasks, above the limit of ",
                                      kCopiesMax, ","));
  }
  if (CopyTaskId(content.task_id, copies + 1).size() > kTaskIdBytesMax) {
    return InvalidField(
        "spec.task_id",
        absl::StrCat("is ", content.task_id.size(),
                     " bytes; with the numbers of its ", copies,
                     " copies it would be more than ", kTaskIdBytesMax));
  }
  call->copy_bytes += copies * BytesOf(content);
  if (call->copy_bytes > options_.copy_bytes_per_turn) {
    return TooManyCopies(absl::StrCat("copies of ", call->copy_bytes,
                                      " bytes, above the limit of ",
                                      options_.copy_bytes_per_turn, ","));
  }
  if (call->copy_bytes + copy_bytes_of_turn_ <= options_.copy_bytes_per_turn)
    return absl::OkStatus();
  return WithRetryDelay(
      WithReason(absl::ResourceExhaustedError(
                     "the broker is busy with copies of other tasks"),
                 reason::kBrokerBusy),
      absl::Milliseconds(100));
}

void Engine::Impl::Aim(const SubmitTarget& target, SubmitCommand* submit) {
  TaskContent& content = *submit->content;
  content.queue = target.queue;
  if (target.worker_id.empty()) return;
  content.placement = PinnedTo(content.placement.get(), target.worker_id);
  const Queue* queue = queues_.Find(content.namespace_name, content.queue);
  // A worker that never comes back must not leave its copy for ever.
  const bool expires =
      submit->expire_after.has_value() ||
      content.expire_time != absl::InfiniteFuture() ||
      queue->stored.settings.task_defaults.expire_after.has_value();
  if (!expires) submit->expire_after = options_.broadcast_expiry;
}

absl::Status Engine::Impl::PlanRoute(SubmitCommand* submit, CallPlan* call,
                                     SubmitPlan* plan, absl::Status* refusal) {
  std::vector<SubmitTarget> targets;
  *refusal = FindTargets(*submit, &targets);
  TaskContent& content = *submit->content;
  if (refusal->ok()) *refusal = CheckCopies(content, targets.size() - 1, call);
  if (!refusal->ok()) return absl::OkStatus();
  plan->copies.resize(targets.size() - 1);
  for (size_t i = 1; i < targets.size(); ++i) {
    SubmitCommand& copy = plan->copies[i - 1];
    copy.content = std::make_shared<TaskContent>(content);
    copy.content->task_id = CopyTaskId(content.task_id, i + 1);
    copy.delay = submit->delay;
    copy.expire_after = submit->expire_after;
    copy.unsaid = submit->unsaid;
    Aim(targets[i], &copy);
    const std::string key =
        MakeTaskKey(content.namespace_name, copy.content->task_id);
    bool taken = !call->first_of_key.try_emplace(key, call->number).second;
    if (!taken && !plan->minted) {
      APIUM_ASSIGN_OR_RETURN(const TaskTable::Found found, FindTask(key));
      taken = found.known();
    }
    *refusal = taken ? TaskIdReused(copy.content->task_id)
                     : CheckQueueForSubmit(*copy.content);
    if (!refusal->ok()) return absl::OkStatus();
  }
  Aim(targets.front(), submit);
  return absl::OkStatus();
}

absl::Status Engine::Impl::AcceptCopies(std::vector<SubmitCommand> copies,
                                        bool minted) {
  for (SubmitCommand& copy : copies) {
    const TaskContent& content = *copy.content;
    copy_bytes_of_turn_ += BytesOf(content);
    Queue* queue = PlannedQueue(content);
    ApplyDefaults(queue->stored.settings.task_defaults, &copy);
    std::string key = MakeTaskKey(content.namespace_name, content.task_id);
    APIUM_RETURN_IF_ERROR(Accept(&copy, std::move(key), queue, minted));
  }
  return absl::OkStatus();
}

absl::Status Engine::Impl::SubmitRouted(SubmitCommand submit) {
  const ReplyAddress to = submit.reply;
  const bool wants_outcome = std::exchange(submit.report_outcome, false);
  const std::shared_ptr<const RequestIdentity> request = submit.request;
  const std::string namespace_name = submit.content->namespace_name;
  SubmitAllReply all;
  if (wants_outcome && waiters_.full()) {
    CountRefused(*submit.content);
    all.status = TooManyWaiters(options_.max_waiters);
  } else {
    std::vector<SubmitCommand> tasks;
    tasks.push_back(std::move(submit));
    APIUM_RETURN_IF_ERROR(SubmitAll(&tasks, &all));
  }
  if (!all.status.ok()) {
    AddReply(to, SubmitReply{.status = std::move(all.status)});
    return absl::OkStatus();
  }
  SubmitReply reply = std::move(all.tasks.front());
  if (request != nullptr) RememberRequest(namespace_name, *request, {reply});
  const std::string task_id = reply.task_id;
  AddReply(to, std::move(reply));
  if (!wants_outcome) return absl::OkStatus();
  return ReportOutcome(to, namespace_name, task_id);
}

void Engine::Impl::AimAgain(const Queue& from, const Queue& target,
                            TaskContent* content) {
  const bool pinned = from.stored.settings.broadcast &&
                      !PinnedWorker(content->placement.get()).empty();
  if (!pinned) return;
  if (&from == &target) {
    content->expire_time = now_ + options_.broadcast_expiry;
  } else {
    content->placement = Unpinned(content->placement);
  }
}

// --- Copies whose worker is gone ---

void Engine::Impl::WantSweep(absl::Time time) {
  if (sweep_time_ <= time) return;
  bool has_copies = false;
  queues_.ForEach([&](const Queue* queue) {
    has_copies = has_copies || queue->stored.settings.broadcast;
  });
  if (has_copies) sweep_time_ = time;
}

absl::Status Engine::Impl::StartSweeps() {
  // One at a time: what a further one is for waits for the end of this.
  if (sweep_time_ > now_ || sweeps_ > 0) return absl::OkStatus();
  sweep_time_ = absl::InfiniteFuture();
  auto present = std::make_shared<CancelJob::Workers>();
  for (const auto& [number, session] : sessions_.all())
    present->insert(MakeTaskKey(session->namespace_name, session->worker_id));
  std::vector<const Queue*> queues;
  queues_.ForEach([&](const Queue* queue) {
    const bool has_tasks = queue->ready + queue->scheduled + queue->blocked > 0;
    if (queue->stored.settings.broadcast && has_tasks) queues.push_back(queue);
  });
  if (queues.empty()) return absl::OkStatus();
  const uint64_t ticket_limit = tickets_.Next();
  lanes_.StartNewChunks();
  for (const Queue* queue : queues) {
    CancelTasksCommand sweep;
    sweep.namespace_name = queue->namespace_name;
    sweep.filter = TaskFilter{.namespace_name = queue->namespace_name,
                              .queue = queue->name};
    auto job = std::make_unique<CancelJob>(std::move(sweep), ticket_limit,
                                           queue->stored.queue_id);
    job->present_workers = present;
    cancel_jobs_.push_back(std::move(job));
    ++sweeps_;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Engine::Impl::SweepTask(const CancelJob& job,
                                             LiveTask* task) {
  const TaskContent& content = task->content();
  const std::string worker(PinnedWorker(content.placement.get()));
  if (task->leased() || worker.empty() || content.queue != job.filter().queue ||
      content.namespace_name != job.filter().namespace_name ||
      job.present_workers->contains(
          MakeTaskKey(content.namespace_name, worker)))
    return false;
  Failure failure{
      .type = "apium.WorkerGone",
      .message = absl::StrCat("it was for worker ", worker, ", which is gone")};
  APIUM_RETURN_IF_ERROR(Finish(
      task, {.state = TaskState::kCancelled, .failure = std::move(failure)}));
  return true;
}

}  // namespace apium::broker
