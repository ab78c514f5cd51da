// Commands as texts.

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tests/support/engine_text.h"

namespace apium::broker {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

std::string LeaseText(const LeaseName& lease) {
  return absl::StrCat(lease.task_id, "#", lease.attempt, "@", lease.epoch);
}

std::string SubmitText(const SubmitCommand& command) {
  const TaskContent& content = *command.content;
  std::string text = absl::StrCat(
      "submit ", content.task_id, " tag=", command.reply.tag,
      " type=", content.type, " queue=", content.queue,
      " priority=", content.priority,
      " max_attempts=", content.retry_policy.max_attempts,
      " max_crashes=", content.retry_policy.max_crashes,
      " backoff=", absl::FormatDuration(content.retry_policy.initial_delay));
  if (!content.batch_id.empty())
    absl::StrAppend(&text, " batch=", content.batch_id);
  if (content.unique != nullptr) {
    const Unique& unique = *content.unique;
    absl::StrAppend(&text, " unique=", unique.key,
                    " scope=", static_cast<int>(unique.scope),
                    " window=", absl::FormatDuration(unique.window),
                    " on_conflict=", static_cast<int>(unique.on_conflict));
  }
  if (command.request != nullptr)
    absl::StrAppend(&text, " request=", command.request->id);
  if (command.delay.has_value()) {
    absl::StrAppend(&text, " delay=", absl::FormatDuration(*command.delay));
  }
  if (content.eta != absl::InfinitePast()) {
    absl::StrAppend(&text, " eta=", absl::ToUnixNanos(content.eta));
  }
  if (command.expire_after.has_value()) {
    absl::StrAppend(
        &text, " expire_after=", absl::FormatDuration(*command.expire_after));
  }
  return text;
}

std::string UpdateText(const UpdateTaskCommand& command) {
  std::string text =
      absl::StrCat("update ", command.task_id, " tag=", command.reply.tag,
                   command.run_now ? " run_now" : "");
  if (command.priority.has_value())
    absl::StrAppend(&text, " priority=", *command.priority);
  if (command.delay.has_value())
    absl::StrAppend(&text, " delay=", absl::FormatDuration(*command.delay));
  if (command.eta.has_value())
    absl::StrAppend(&text, " eta=", absl::ToUnixNanos(*command.eta));
  if (command.expire_time.has_value())
    absl::StrAppend(&text, " expire=", absl::FormatTime(*command.expire_time));
  if (command.expire_after.has_value()) {
    absl::StrAppend(
        &text, " expire_after=", absl::FormatDuration(*command.expire_after));
  }
  return text;
}

std::string OpenText(const OpenSessionCommand& command) {
  std::string text =
      absl::StrCat("open ", command.worker_id, " session=", command.session_id,
                   " types=", absl::StrJoin(command.task_types, ","),
                   " queues=", absl::StrJoin(command.queues, ","), " held=");
  for (const LeaseName& lease : command.held_leases) {
    absl::StrAppend(&text, LeaseText(lease), " ");
  }
  return text;
}

std::string ReportText(const WorkerReportCommand& command) {
  static const char* const kKinds[] = {"succeeded", "failed", "cancelled",
                                       "returned",  "retry",  "crashed"};
  std::string text = absl::StrCat("report credit=", command.credit,
                                  command.draining ? " draining" : "");
  for (const StartedReport& report : command.started) {
    absl::StrAppend(&text, " started ", LeaseText(report.lease));
  }
  for (const ProgressReport& report : command.progress) {
    absl::StrAppend(&text, " progress ", LeaseText(report.lease));
  }
  for (const ChunkReport& report : command.chunks) {
    absl::StrAppend(&text, " chunk ", report.number, " ",
                    LeaseText(report.lease));
  }
  for (const ChargeReport& report : command.charges) {
    absl::StrAppend(&text, " charge ", report.limit, " ", report.points, " ",
                    LeaseText(report.lease));
  }
  for (const ExecutionReport& report : command.outcomes) {
    absl::StrAppend(&text, " ", kKinds[static_cast<int>(report.kind)], " ",
                    LeaseText(report.lease));
  }
  return text;
}

}  // namespace

std::string CommandText(const Command& command) {
  return std::visit(
      Overloaded{
          [](const SubmitCommand& submit) { return SubmitText(submit); },
          [](const WorkerReportCommand& report) { return ReportText(report); },
          [](const GetTaskCommand& get) {
            return absl::StrCat("get ", get.task_id, " tag=", get.reply.tag);
          },
          [](const WaitTaskCommand& wait) {
            return absl::StrCat("wait ", wait.task_id, " tag=", wait.reply.tag);
          },
          [](const WatchTaskCommand& watch) {
            return absl::StrCat("watch ", watch.task_id,
                                " tag=", watch.reply.tag);
          },
          [](const FollowTaskCommand& follow) {
            return absl::StrCat("follow ", follow.task_id, " from ",
                                follow.from, " tag=", follow.reply.tag);
          },
          [](const ForgetSinkCommand&) { return std::string("forget a sink"); },
          [](const CancelTaskCommand& cancel) {
            return absl::StrCat("cancel ", cancel.task_id,
                                " tag=", cancel.reply.tag);
          },
          [](const CancelTasksCommand& cancel) {
            return absl::StrCat("cancel ", absl::StrJoin(cancel.task_ids, " "),
                                cancel.filter.has_value() ? "by filter" : "",
                                cancel.dry_run ? " dry run" : "",
                                " tag=", cancel.reply.tag);
          },
          [](const UpdateTaskCommand& update) { return UpdateText(update); },
          [](const ForgetTaskCommand& forget) {
            return absl::StrCat("forget ", forget.task_id,
                                " tag=", forget.reply.tag);
          },
          [](const CountTasksCommand& count) {
            return absl::StrCat("count ", count.queue,
                                " tag=", count.reply.tag);
          },
          [](const ListTasksCommand& list) {
            return absl::StrCat("list tasks, tag=", list.reply.tag);
          },
          [](const OpenSessionCommand& open) { return OpenText(open); },
          [](const SessionDisconnectedCommand&) {
            return std::string("a stream broke");
          },
          [](const ListWorkersCommand& list) {
            return absl::StrCat("list workers, tag=", list.reply.tag);
          },
          [](const DrainWorkerCommand& drain) {
            return absl::StrCat("drain ", drain.worker_id);
          },
          [](const CreateQueueCommand& create) {
            return absl::StrCat("create queue ", create.queue,
                                " tag=", create.reply.tag);
          },
          [](const UpdateQueueCommand& update) {
            return absl::StrCat(
                "update queue ", update.queue, " tag=", update.reply.tag,
                update.paused.value_or(false) ? " paused" : "",
                update.submit_paused.value_or(false) ? " submit_paused" : "");
          },
          [](const GetQueueCommand& get) {
            return absl::StrCat("get queue ", get.queue,
                                " tag=", get.reply.tag);
          },
          [](const ListQueuesCommand&) { return std::string("list queues"); },
          [](const DeleteQueueCommand& erase) {
            return absl::StrCat("delete queue ", erase.queue,
                                " tag=", erase.reply.tag);
          },
          [](const PurgeQueueCommand& purge) {
            return absl::StrCat("purge queue ", purge.queue,
                                " tag=", purge.reply.tag);
          },
          [](const OutboxConfirmedCommand& confirmed) {
            return absl::StrCat("confirm outbox ", confirmed.position);
          },
          [](const SetAdmissionCommand&) { return std::string("admission"); },
          [](const GetStatsCommand&) { return std::string("get stats"); },
          [](const SubmitAllCommand& all) {
            std::string text = absl::StrCat(
                "submit all, tag=", all.reply.tag,
                all.request == nullptr ? "" : " request=",
                all.request == nullptr ? "" : all.request->id, ":");
            for (const SubmitCommand& submit : all.tasks)
              absl::StrAppend(&text, " {", SubmitText(submit), "}");
            return text;
          },
          [](const CreateBatchCommand& create) {
            return absl::StrCat("create batch ", create.batch_id,
                                " tag=", create.reply.tag);
          },
          [](const CloseBatchCommand& close) {
            return absl::StrCat("close batch ", close.batch_id,
                                " tag=", close.reply.tag);
          },
          [](const GetBatchCommand& get) {
            return absl::StrCat("get batch ", get.batch_id,
                                " tag=", get.reply.tag);
          },
          [](const ListDeadLettersCommand& list) {
            return absl::StrCat("list dead letters ", list.queue,
                                " tag=", list.reply.tag);
          },
          [](const GetDeadLetterCommand& get) {
            return absl::StrCat("get dead letter ", get.task_id,
                                " tag=", get.reply.tag);
          },
          [](const RedriveDeadLetterCommand& redrive) {
            return absl::StrCat("redrive dead letter ", redrive.task_id,
                                " tag=", redrive.reply.tag);
          },
          [](const DiscardDeadLetterCommand& discard) {
            return absl::StrCat("discard dead letter ", discard.task_id,
                                " tag=", discard.reply.tag);
          },
          [](const PurgeDeadLettersCommand& purge) {
            return absl::StrCat("purge dead letters ", purge.queue,
                                " tag=", purge.reply.tag);
          },
          [](const StartRedriveCommand& start) {
            return absl::StrCat("start redrive ", start.queue,
                                " tag=", start.reply.tag);
          },
          [](const GetRedriveCommand& get) {
            return absl::StrCat("get redrive ", get.queue,
                                " tag=", get.reply.tag);
          },
          [](const CancelRedriveCommand& cancel) {
            return absl::StrCat("cancel redrive ", cancel.queue,
                                " tag=", cancel.reply.tag);
          },
          [](const SetBreakerCommand& set) {
            return absl::StrCat("set breaker ", set.type,
                                " tag=", set.reply.tag);
          },
          [](const GetBreakerCommand& get) {
            return absl::StrCat("get breaker ", get.type,
                                " tag=", get.reply.tag);
          },
          [](const ListBreakersCommand& list) {
            return absl::StrCat("list breakers, tag=", list.reply.tag);
          },
          [](const ResetBreakerCommand& reset) {
            return absl::StrCat("reset breaker ", reset.type,
                                " tag=", reset.reply.tag);
          },
          [](const CreateLimitCommand& create) {
            return absl::StrCat("create limit ", create.limit.name,
                                " tag=", create.reply.tag);
          },
          [](const UpdateLimitCommand& update) {
            return absl::StrCat("update limit ", update.name,
                                " tag=", update.reply.tag);
          },
          [](const DeleteLimitCommand& remove) {
            return absl::StrCat("delete limit ", remove.name,
                                " tag=", remove.reply.tag);
          },
          [](const PauseLimitKeyCommand& pause) {
            return absl::StrCat("pause limit ", pause.limit, " key ", pause.key,
                                " tag=", pause.reply.tag);
          },
          // Those that have no text of their own.
          [](const auto& other) {
            return absl::StrCat("another command, tag=", other.reply.tag);
          },
          [](const ListBatchesCommand& list) {
            return absl::StrCat("list batches, tag=", list.reply.tag);
          },
      },
      command);
}

}  // namespace apium::broker
