#include "tests/support/engine_text.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/error_reason.h"

namespace apium::broker {
namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

std::string TaskText(const TaskReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  switch (reply.elsewhere) {
    case TaskReply::Elsewhere::kFinished:
      return "FINISHED";
    case TaskReply::Elsewhere::kUnknown:
      return "UNKNOWN";
    case TaskReply::Elsewhere::kNo:
      return StateName(reply.task.state);
  }
  return "?";
}

std::string PageText(const TaskPageReply& page) {
  if (!page.status.ok()) return StatusText(page.status);
  std::string text = absl::StrJoin(
      page.tasks, " ", [](std::string* out, const TaskSnapshot& task) {
        absl::StrAppend(out, task.content->task_id);
      });
  if (!page.next_page_token.empty()) text += " ...";
  return text;
}

std::string WorkersText(const WorkersReply& reply) {
  return absl::StrJoin(
      reply.workers, "; ", [](std::string* out, const WorkerInfo& worker) {
        absl::StrAppend(out, worker.worker_id,
                        worker.connected ? " connected" : " detached",
                        worker.draining ? " draining" : "",
                        " credit=", worker.credit, " leases=", worker.leases);
      });
}

std::string CancelsText(const CancelTasksReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  if (!reply.results.empty()) {
    return absl::StrJoin(reply.results, " ",
                         [](std::string* out, CancelResult result) {
                           out->append(CancelResultName(result));
                         });
  }
  return absl::StrCat("cancelled ", reply.cancelled, " requested ",
                      reply.requested);
}

std::string CountsText(const TaskCountsReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  return absl::StrJoin(reply.queues, "; ",
                       [](std::string* out, const TaskCounts& counts) {
                         absl::StrAppend(out, counts.queue, ":");
                         const std::pair<const char*, uint64_t> numbers[] = {
                             {"blocked", counts.blocked},
                             {"scheduled", counts.scheduled},
                             {"queued", counts.queued},
                             {"leased", counts.leased},
                             {"started", counts.started},
                             {"succeeded", counts.ended.succeeded},
                             {"failed", counts.ended.failed},
                             {"cancelled", counts.ended.cancelled},
                             {"expired", counts.ended.expired},
                             {"dead_lettered", counts.ended.dead_lettered}};
                         for (const auto& [name, number] : numbers) {
                           if (number > 0)
                             absl::StrAppend(out, " ", name, "=", number);
                         }
                       });
}

std::string QueueText(const QueueInfo& queue) {
  return absl::StrCat("ready=", queue.ready, " scheduled=", queue.scheduled,
                      " leased=", queue.leased,
                      queue.blocked > 0
                          ? absl::StrCat(" blocked=", queue.blocked)
                          : std::string());
}

std::string BatchText(const BatchInfo& batch) {
  static const char* const kStates[] = {"?", "OPEN", "CLOSED", "COMPLETE"};
  std::string text = absl::StrCat(
      kStates[static_cast<int>(batch.state)], " members=", batch.members,
      " pending=", batch.pending, " succeeded=", batch.succeeded,
      " unsuccessful=", batch.unsuccessful);
  for (const BatchEvent event : kBatchEvents) {
    const std::string& task_id = batch.callback_task_ids[event];
    if (task_id.empty()) continue;
    absl::StrAppend(&text, " ", BatchEventName(event), "=", task_id);
  }
  return text;
}

std::string BatchPageText(const BatchPageReply& page) {
  if (!page.status.ok()) return StatusText(page.status);
  std::string text = absl::StrJoin(
      page.batches, "; ", [](std::string* out, const BatchInfo& batch) {
        absl::StrAppend(out, batch.batch_id, " ", BatchText(batch));
      });
  if (!page.next_page_token.empty()) text += " ...";
  return text;
}

std::string FollowText(const FollowReply& reply) {
  if (!reply.status.ok()) return StatusText(reply.status);
  std::string text;
  for (const TaskChunk& chunk : reply.chunks) {
    absl::StrAppend(&text, text.empty() ? "" : " ", chunk.position, "=",
                    chunk.payload.data, "#", chunk.attempt);
  }
  if (reply.ended) return TaskText(reply.task);
  return text.empty() ? "more" : text;
}

std::string DetailsText(const std::shared_ptr<const Payload>& details) {
  return details == nullptr ? "" : absl::StrCat(" details=", details->data);
}

std::string OutcomeText(const Outcome& outcome) {
  return absl::StrCat(outcome.task_id, " ", StateName(outcome.state), " ",
                      outcome.failure.type, " attempt=", outcome.attempt,
                      " epoch=", outcome.epoch, " failures=", outcome.failures,
                      " lost=", outcome.crashes, " worker=", outcome.worker_id,
                      " result=", outcome.result.data,
                      " finish=", absl::ToUnixNanos(outcome.finish_time),
                      " chunks=", outcome.chunks, DetailsText(outcome.details));
}

std::string PushText(const WorkerPush& push) {
  return std::visit(
      Overloaded{
          [](const Delivery& delivery) {
            return absl::StrCat(
                "delivery ", delivery.content->task_id,
                " attempt=", delivery.attempt, " epoch=", delivery.epoch,
                " failures=", delivery.failures, " crashes=", delivery.crashes,
                " chunks=", delivery.chunks, DetailsText(delivery.details));
          },
          [](const OutcomeAcknowledged& ack) {
            return absl::StrCat("ack ", ack.epoch);
          },
          [](const ReportRefused& refused) {
            return absl::StrCat("refused ", refused.epoch, " ",
                                StatusText(refused.status));
          },
          [](const CancelDelivery& cancel) {
            return absl::StrCat("cancel ", cancel.lease.task_id, " ",
                                cancel.lease.epoch, " ", cancel.reason);
          },
          [](const SessionOpened& opened) {
            return absl::StrCat("opened ", opened.session_id,
                                opened.resumed ? " resumed lost=" : " lost=",
                                absl::StrJoin(opened.lost_epochs, ","));
          },
          [](const SessionClosed& closed) {
            return absl::StrCat("closed ", StatusText(closed.status));
          },
          [](const DrainSession&) { return std::string("drain"); },
          [](const ChunksAcknowledged& chunks) {
            return absl::StrCat("chunks ", chunks.epoch, " ", chunks.number,
                                " ", StatusText(chunks.status));
          },
      },
      push.body);
}

std::string DeadLetterText(const DeadLetter& letter) {
  const Outcome& outcome = *letter.outcome;
  return absl::StrCat(letter.content->task_id, "#", outcome.attempt,
                      " failures=", outcome.failures,
                      " crashes=", outcome.crashes, " ", outcome.failure.type);
}

std::string DeadLettersText(const DeadLetterPageReply& page) {
  if (!page.status.ok()) return StatusText(page.status);
  std::string text = absl::StrJoin(
      page.dead_letters, " ", [](std::string* out, const auto& letter) {
        absl::StrAppend(out, letter->content->task_id);
      });
  if (!page.next_page_token.empty())
    absl::StrAppend(&text, " next=", page.next_page_token);
  return text;
}

std::string RedriveText(const Redrive& redrive) {
  static const char* const kStates[] = {"?", "RUNNING", "DONE", "CANCELLED"};
  return absl::StrCat(
      kStates[static_cast<int>(redrive.state)], redrive.dry_run ? " dry" : "",
      " matched=", redrive.matched, " redriven=", redrive.redriven,
      " refused=", redrive.refused);
}

std::string BreakerText(const BreakerInfo& breaker) {
  static const char* const kStates[] = {"?", "CLOSED", "OPEN", "HALF_OPEN"};
  return absl::StrCat(kStates[static_cast<int>(breaker.state)], " ",
                      breaker.failures, "/", breaker.attempts);
}

std::string LimitText(const Limit& limit) {
  const LimitSettings& settings = limit.settings;
  std::string text = absl::StrCat(limit.name, " etag=", limit.revision);
  if (settings.max_concurrency > 0)
    absl::StrAppend(&text, " max=", settings.max_concurrency);
  if (settings.rate.has_value()) {
    absl::StrAppend(&text, " rate=", settings.rate->points, "/",
                    absl::FormatDuration(settings.rate->period),
                    " burst=", settings.rate->burst,
                    " cost=", settings.rate->cost);
  }
  if (settings.disabled) text += " disabled";
  return text;
}

// "acme:2" are two that run, "acme:2 points=1 waiting=3 paused" all there is to
// say.
std::string UsageText(const LimitUsage& usage) {
  std::string text = absl::StrCat(usage.key, ":", usage.running);
  if (usage.points != 0) absl::StrAppend(&text, " points=", usage.points);
  if (usage.waiting_lanes > 0)
    absl::StrAppend(&text, " waiting=", usage.waiting_lanes);
  if (usage.pause_until != absl::InfinitePast()) text += " paused";
  return text;
}

const char* ExchangeTypeName(ExchangeType type) {
  static const char* const kNames[] = {"direct", "topic", "fanout", "headers"};
  return kNames[static_cast<int>(type) - 1];
}

std::string ExchangeText(const Exchange& exchange) {
  std::string text = absl::StrCat(
      ExchangeTypeName(exchange.type), " ", exchange.name,
      " bindings=", exchange.bindings, " etag=", exchange.revision);
  if (!exchange.alternate_exchange.empty())
    absl::StrAppend(&text, " alternate=", exchange.alternate_exchange);
  return text;
}

std::string BindingText(const Binding& binding) {
  std::string text = absl::StrCat(binding.exchange, "->", binding.queue);
  if (!binding.destination_exchange.empty())
    absl::StrAppend(&text, "exchange:", binding.destination_exchange);
  if (!binding.routing_key.empty())
    absl::StrAppend(&text, " ", binding.routing_key);
  for (const auto& [name, value] : binding.headers)
    absl::StrAppend(&text, " ", name, "=", value);
  if (binding.match_any) text += " any";
  return text;
}

}  // namespace

std::string StatusText(const absl::Status& status) {
  if (status.ok()) return "OK";
  const std::string code = absl::StatusCodeToString(status.code());
  const std::string reason = ReasonOf(status);
  return reason.empty() ? code : absl::StrCat(code, "/", reason);
}

const char* StateName(TaskState state) {
  switch (state) {
    case TaskState::kBlocked:
      return "BLOCKED";
    case TaskState::kScheduled:
      return "SCHEDULED";
    case TaskState::kQueued:
      return "QUEUED";
    case TaskState::kLeased:
      return "LEASED";
    case TaskState::kStarted:
      return "STARTED";
    case TaskState::kSucceeded:
      return "SUCCEEDED";
    case TaskState::kFailed:
      return "FAILED";
    case TaskState::kCancelled:
      return "CANCELLED";
    case TaskState::kExpired:
      return "EXPIRED";
    case TaskState::kDeadLettered:
      return "DEAD_LETTERED";
  }
  return "?";
}

const char* BatchEventName(BatchEvent event) {
  static const char* const kNames[] = {"first_failure", "success", "complete"};
  return kNames[static_cast<int>(event) - 1];
}

const char* EventName(TaskEventKind kind) {
  switch (kind) {
    case TaskEventKind::kSubmitted:
      return "SUBMITTED";
    case TaskEventKind::kLeased:
      return "LEASED";
    case TaskEventKind::kStarted:
      return "STARTED";
    case TaskEventKind::kRetried:
      return "RETRIED";
    case TaskEventKind::kCrashed:
      return "CRASHED";
    case TaskEventKind::kReturned:
      return "RETURNED";
    case TaskEventKind::kCancelRequested:
      return "CANCEL_REQUESTED";
    case TaskEventKind::kUpdated:
      return "UPDATED";
    case TaskEventKind::kUnblocked:
      return "UNBLOCKED";
    case TaskEventKind::kEnded:
      return "ENDED";
  }
  return "?";
}

const char* CancelResultName(CancelResult result) {
  switch (result) {
    case CancelResult::kCancelled:
      return "CANCELLED";
    case CancelResult::kRequested:
      return "REQUESTED";
    case CancelResult::kAlreadyEnded:
      return "ALREADY_ENDED";
    case CancelResult::kNotFound:
      return "NOT_FOUND";
  }
  return "?";
}

std::string ReplyText(const Reply& reply) {
  return std::visit(
      Overloaded{
          [](const SubmitReply& submit) {
            return submit.attached ? absl::StrCat("ATTACHED ", submit.task_id)
                                   : StatusText(submit.status);
          },
          [](const OutcomeReply& outcome) {
            return outcome.outcome == nullptr
                       ? std::string("outcome=elsewhere")
                       : absl::StrCat("outcome=",
                                      StateName(outcome.outcome->state));
          },
          [](const TaskReply& task) { return TaskText(task); },
          [](const TaskPageReply& page) { return PageText(page); },
          [](const StatusReply& status) { return StatusText(status.status); },
          [](const WorkersReply& workers) { return WorkersText(workers); },
          [](const QueueReply& queue) {
            return queue.status.ok() ? QueueText(queue.queue)
                                     : StatusText(queue.status);
          },
          [](const QueuePageReply& page) {
            if (!page.status.ok()) return StatusText(page.status);
            std::string text = absl::StrJoin(
                page.queues, " ", [](std::string* out, const QueueInfo& queue) {
                  absl::StrAppend(out, queue.name);
                });
            if (!page.next_page_token.empty()) text += " ...";
            return text;
          },
          [](const PurgeReply& purge) {
            return purge.status.ok() ? absl::StrCat("purged ", purge.purged)
                                     : StatusText(purge.status);
          },
          [](const StatsReply&) { return std::string("stats"); },
          [](const BatchReply& batch) {
            return batch.status.ok() ? BatchText(batch.batch)
                                     : StatusText(batch.status);
          },
          [](const BatchPageReply& page) { return BatchPageText(page); },
          [](const SubmitAllReply& all) {
            if (!all.status.ok()) {
              return absl::StrCat(StatusText(all.status),
                                  all.failed.has_value()
                                      ? absl::StrCat(" at ", *all.failed)
                                      : std::string());
            }
            return absl::StrCat(
                "OK ", absl::StrJoin(all.tasks, " ",
                                     [](std::string* out, const auto& task) {
                                       absl::StrAppend(out, task.task_id);
                                     }));
          },
          [](const FollowReply& follow) { return FollowText(follow); },
          [](const DeadLetterPageReply& page) { return DeadLettersText(page); },
          [](const DeadLetterReply& letter) {
            return letter.status.ok() ? DeadLetterText(*letter.dead_letter)
                                      : StatusText(letter.status);
          },
          [](const RedriveReply& redrive) {
            return redrive.status.ok() ? RedriveText(redrive.redrive)
                                       : StatusText(redrive.status);
          },
          [](const BreakerReply& breaker) {
            if (!breaker.status.ok()) return StatusText(breaker.status);
            return breaker.removed ? std::string("removed")
                                   : BreakerText(breaker.breaker);
          },
          [](const BreakersReply& breakers) {
            if (!breakers.status.ok()) return StatusText(breakers.status);
            return absl::StrJoin(
                breakers.breakers, "; ",
                [](std::string* out, const BreakerInfo& breaker) {
                  absl::StrAppend(out, breaker.type, " ", BreakerText(breaker));
                });
          },
          [](const LimitReply& limit) {
            return limit.status.ok() ? LimitText(limit.limit)
                                     : StatusText(limit.status);
          },
          [](const LimitPageReply& page) {
            if (!page.status.ok()) return StatusText(page.status);
            std::string text = absl::StrJoin(
                page.limits, "; ", [](std::string* out, const Limit& limit) {
                  absl::StrAppend(out, LimitText(limit));
                });
            if (!page.next_page_token.empty()) text += " ...";
            return text;
          },
          [](const LimitUsageReply& page) {
            if (!page.status.ok()) return StatusText(page.status);
            std::string text =
                absl::StrJoin(page.usage, "; ",
                              [](std::string* out, const LimitUsage& usage) {
                                absl::StrAppend(out, UsageText(usage));
                              });
            if (!page.next_page_token.empty()) text += " ...";
            return text;
          },
          [](const ExchangeReply& exchange) {
            return exchange.status.ok() ? ExchangeText(exchange.exchange)
                                        : StatusText(exchange.status);
          },
          [](const ExchangePageReply& page) {
            if (!page.status.ok()) return StatusText(page.status);
            std::string text =
                absl::StrJoin(page.exchanges, " ",
                              [](std::string* out, const Exchange& exchange) {
                                absl::StrAppend(out, exchange.name);
                              });
            if (!page.next_page_token.empty()) text += " ...";
            return text;
          },
          [](const BindingPageReply& page) {
            if (!page.status.ok()) return StatusText(page.status);
            std::string text =
                absl::StrJoin(page.bindings, "; ",
                              [](std::string* out, const Binding& binding) {
                                absl::StrAppend(out, BindingText(binding));
                              });
            if (!page.next_page_token.empty()) text += " ...";
            return text;
          },
          [](const RouteRulesReply& reply) {
            if (!reply.status.ok()) return StatusText(reply.status);
            std::string text;
            for (const RouteRule& rule : reply.rules)
              absl::StrAppend(&text, rule.type_pattern, "->", rule.queue, " ");
            return absl::StrCat(text, "etag=", reply.etag);
          },
          [](const ResolveRouteReply& reply) {
            return reply.status.ok() ? absl::StrJoin(reply.queues, " ")
                                     : StatusText(reply.status);
          },
          // Those that have no text of their own.
          [](const auto& other) { return StatusText(other.status); },
          [](const CancelTasksReply& reply) { return CancelsText(reply); },
          [](const TaskCountsReply& reply) { return CountsText(reply); },
      },
      reply.body);
}

std::string EffectsText(const Effects& effects) {
  std::string text;
  for (const AddressedReply& reply : effects.replies) {
    absl::StrAppend(&text, "reply ", reply.to.tag, " ", ReplyText(reply.reply),
                    "\n");
  }
  for (const AddressedPush& push : effects.pushes) {
    absl::StrAppend(&text, "push ", PushText(push.push), "\n");
  }
  for (const OutboxEntry& entry : effects.outbox) {
    absl::StrAppend(&text, "outbox ", entry.position, "\n");
    for (const auto& outcome : entry.outcomes) {
      absl::StrAppend(&text, "  ", OutcomeText(*outcome), "\n");
    }
  }
  for (const auto& outcome : effects.unpublished) {
    absl::StrAppend(&text, "not kept ", OutcomeText(*outcome), "\n");
  }
  return text;
}

}  // namespace apium::broker
