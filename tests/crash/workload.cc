#include "tests/crash/workload.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "client/task_client.h"
#include "client/task_stream.h"
#include "common/check.h"
#include "common/strings.h"
#include "tests/crash/client_options_for.h"
#include "tests/crash/task_mix.h"

namespace apium::crash {
namespace {

using SubmitVerdict = SubmitRecord::Verdict;

// What a client may repeat, cancel or look at: the newest of its tasks.
constexpr size_t kRememberedMax = 64;
// A client that got no answer tries the next thing when something has
// happened, or after this.
constexpr absl::Duration kUnansweredPause = absl::Milliseconds(20);

SubmitVerdict VerdictOf(const absl::Status& status) {
  if (status.ok()) return SubmitVerdict::kAccepted;
  switch (status.code()) {
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kNotFound:
      return SubmitVerdict::kRefused;
    default:
      return SubmitVerdict::kUnknown;
  }
}

SubmitRecord Answered(v1::TaskSpec spec, const absl::Status& status,
                      Moment invoked) {
  return {.spec = std::move(spec),
          .verdict = VerdictOf(status),
          .status = status,
          .invoked = invoked,
          .returned = MonotonicNow()};
}

std::unique_ptr<TaskClient> MakeClient(const ClientOptions& options) {
  auto client = TaskClient::Connect(options);
  APIUM_CHECK(client.ok()) << client.status();
  return *std::move(client);
}

// One call after the other.
class CallingClient {
 public:
  CallingClient(const ClientOptions& client, const WorkloadOptions& options,
                const std::string& name, uint64_t seed, Recorder* recorder)
      : client_(MakeClient(client)),
        mix_(name, seed, options.builtin_tasks),
        backlog_max_(options.backlog_max),
        recorder_(*recorder) {}

  void Run() {
    while (recorder_.AwaitRoom(backlog_max_)) {
      const uint32_t choice = remembered_.empty() ? 0 : mix_.Below(20);
      if (choice < 13) {
        SubmitNew();
      } else if (choice < 15) {
        SubmitAgain();
      } else if (choice < 16) {
        SubmitOther();
      } else if (choice < 18) {
        Cancel();
      } else {
        Wait();
      }
    }
  }

 protected:
  const v1::TaskSpec& Remembered() {
    return remembered_[mix_.Below(static_cast<uint32_t>(remembered_.size()))];
  }

  // Returns whether it was answered.
  bool Submit(const v1::TaskSpec& spec, bool first) {
    const Moment invoked = MonotonicNow();
    const absl::Status status = client_->Submit(spec).status();
    SubmitRecord submit = Answered(spec, status, invoked);
    const bool accepted = submit.verdict == SubmitVerdict::kAccepted;
    const bool unknown = submit.verdict == SubmitVerdict::kUnknown;
    recorder_.AddSubmit(std::move(submit), first);
    if (unknown) recorder_.AwaitAnything(kUnansweredPause);
    return accepted;
  }

  void SubmitNew() {
    const v1::TaskSpec spec = mix_.Next();
    // Only of tasks that were accepted is it known what a second submit must
    // be answered.
    if (!Submit(spec, true)) return;
    remembered_.push_back(spec);
    if (remembered_.size() > kRememberedMax) remembered_.pop_front();
  }

  void SubmitAgain() { Submit(Remembered(), false); }

  void SubmitOther() {
    v1::TaskSpec spec = Remembered();
    spec.mutable_payload()->set_data("[]");
    Submit(spec, false);
  }

  void Cancel() {
    const std::string id = Remembered().task_id();
    recorder_.AddCancel({id, MonotonicNow()});
    Observe(client_->Cancel(id, "the test wants it"), "cancel");
  }

  void Wait() {
    Observe(client_->Wait(Remembered().task_id(), absl::Milliseconds(50)),
            "wait");
  }

  void Observe(const absl::StatusOr<v1::Task>& task, const char* source) {
    if (task.ok() && IsTerminal(task->state())) {
      recorder_.AddObservation({task->outcome(), source});
    } else if (!task.ok()) {
      recorder_.AwaitAnything(kUnansweredPause);
    }
  }

  const std::unique_ptr<TaskClient> client_;
  TaskMix mix_;
  const int64_t backlog_max_;
  Recorder& recorder_;
  std::deque<v1::TaskSpec> remembered_;
};

class BatchClient {
 public:
  BatchClient(const ClientOptions& client, const WorkloadOptions& options,
              const std::string& name, uint64_t seed, Recorder* recorder)
      : client_(MakeClient(client)),
        mix_(name, seed, options.builtin_tasks),
        backlog_max_(options.backlog_max / 2),
        recorder_(*recorder) {}

  void Run() {
    while (recorder_.AwaitRoom(backlog_max_)) {
      std::vector<v1::TaskSpec> specs(1 + mix_.Below(12));
      for (v1::TaskSpec& spec : specs) spec = mix_.Next();
      const Moment invoked = MonotonicNow();
      const auto handles = client_->SubmitMany(specs);
      for (size_t i = 0; i < specs.size(); ++i) {
        recorder_.AddSubmit(Answered(specs[i], handles[i].status(), invoked),
                            true);
      }
    }
  }

 private:
  const std::unique_ptr<TaskClient> client_;
  TaskMix mix_;
  const int64_t backlog_max_;
  Recorder& recorder_;
};

class StreamClient {
 public:
  StreamClient(const ClientOptions& client, const WorkloadOptions& options,
               const std::string& name, uint64_t seed, Recorder* recorder)
      : client_(MakeClient(client)),
        mix_(name, seed, options.builtin_tasks),
        backlog_max_(options.backlog_max / 2),
        finish_timeout_(client.deadline),
        recorder_(*recorder) {}

  void Run() {
    std::unique_ptr<TaskStream> stream = Open();
    if (stream == nullptr) return;
    while (recorder_.AwaitRoom(backlog_max_)) {
      v1::TaskSpec spec = mix_.Next();
      {
        absl::MutexLock lock(&mu_);
        SubmitRecord& submit = unanswered_[spec.task_id()];
        submit.spec = spec;
        submit.invoked = MonotonicNow();
      }
      if (!stream->Submit(&spec).ok()) break;
    }
    const absl::Status status = stream->Finish(finish_timeout_);
    if (!status.ok()) {
      recorder_.AddMishap(
          StrCat("the stream of tasks ended: ", status.ToString()));
    }
    stream.reset();
    absl::MutexLock lock(&mu_);
    for (auto& [id, submit] : unanswered_) {
      submit.returned = MonotonicNow();
      recorder_.AddSubmit(submit, true);
    }
    unanswered_.clear();
  }

 private:
  // Null: the run was over before the broker served.
  std::unique_ptr<TaskStream> Open() {
    TaskStreamOptions options;
    options.window = 64;
    options.batch_tasks_max = 16;
    options.on_ack = [this](const SubmitAck& ack) { OnAck(ack); };
    options.on_outcome = [this](const v1::TaskOutcome& outcome) {
      recorder_.AddObservation({outcome, "stream"});
    };
    while (!recorder_.stopped()) {
      auto stream = client_->OpenStream(options);
      if (stream.ok()) return *std::move(stream);
      recorder_.AwaitAnything(kUnansweredPause);
    }
    return nullptr;
  }

  void OnAck(const SubmitAck& ack) {
    SubmitRecord submit;
    {
      absl::MutexLock lock(&mu_);
      const auto found = unanswered_.find(ack.task_id);
      if (found == unanswered_.end()) {
        return recorder_.AddMishap(
            StrCat("the stream answered ", ack.task_id, " twice"));
      }
      submit = std::move(found->second);
      unanswered_.erase(found);
    }
    const Moment invoked = submit.invoked;
    recorder_.AddSubmit(Answered(std::move(submit.spec), ack.status, invoked),
                        true);
  }

  const std::unique_ptr<TaskClient> client_;
  TaskMix mix_;
  const int64_t backlog_max_;
  const absl::Duration finish_timeout_;
  Recorder& recorder_;
  absl::Mutex mu_;
  std::map<std::string, SubmitRecord, std::less<>> unanswered_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace

Workload::Workload(WorkloadOptions options, Recorder* recorder) {
  const ClientOptions patient =
      ClientOptionsFor(options.broker_address, options.call_deadline);
  ClientOptions impatient = patient;
  impatient.retry.attempts_max = 1;
  const auto start = [&](auto* client_type, const char* name,
                         const ClientOptions& client) {
    using Client = std::remove_pointer_t<decltype(client_type)>;
    const uint64_t seed = options.seed * 16 + clients_.size();
    clients_.emplace_back(
        [=] { Client(client, options, name, seed, recorder).Run(); });
  };
  start(static_cast<CallingClient*>(nullptr), "one", patient);
  start(static_cast<CallingClient*>(nullptr), "impatient", impatient);
  start(static_cast<BatchClient*>(nullptr), "batch", patient);
  start(static_cast<StreamClient*>(nullptr), "stream", patient);
}

Workload::~Workload() {
  for (std::thread& client : clients_) client.join();
}

}  // namespace apium::crash
