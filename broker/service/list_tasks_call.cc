#include "broker/service/list_tasks_call.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "apium/v1/result_service.pb.h"
#include "broker/service/result_reader.h"
#include "broker/service/task_control_from_proto.h"
#include "broker/service/task_from_proto.h"
#include "broker/service/task_to_proto.h"
#include "common/error_reason.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/proto_time.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace apium::broker {
namespace {

// The same bytes for equal messages: maps have no order of their own.
std::string SerializeInOrder(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace

grpc::ServerUnaryReactor* ListTasksCall::Start(
    const ServiceContext* context, absl::Time deadline,
    const v1::ListTasksRequest* request, v1::ListTasksResponse* response) {
  auto call = std::make_shared<ListTasksCall>(context, deadline, response);
  call->HoldUntilDone();
  grpc::ServerUnaryReactor* const reactor = call.get();
  const absl::Status parsed = call->Parse(*request);
  if (parsed.ok()) {
    call->Begin();
  } else {
    call->Answer(parsed);
  }
  return reactor;
}

absl::Status ListTasksCall::Parse(const v1::ListTasksRequest& request) {
  request_ = request;
  APIUM_ASSIGN_OR_RETURN(*request_.mutable_namespace_(),
                         NamespaceFromProto(request.namespace_()));
  if (!request.queue().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateQueueName("queue", request.queue()));
  }
  if (!request.type().empty()) {
    APIUM_RETURN_IF_ERROR(ValidateTaskType("type", request.type()));
  }
  APIUM_RETURN_IF_ERROR(ParseStates(request));
  if (request.has_finished_after()) {
    APIUM_RETURN_IF_ERROR(
        TimeFromProto("finished_after", request.finished_after()).status());
    wants_live_ = false;
  }
  if (request.has_finished_before()) {
    APIUM_RETURN_IF_ERROR(
        TimeFromProto("finished_before", request.finished_before()).status());
    wants_live_ = false;
  }
  APIUM_RETURN_IF_ERROR(TakeFilterConditions(request, &live_filter_));
  live_filter_.namespace_name = request_.namespace_();
  live_filter_.queue = request.queue();
  live_filter_.type = request.type();
  page_size_ = PageSizeFor(request.page_size());

  v1::ListTasksRequest filter = request_;
  filter.clear_page_size();
  filter.clear_page_token();
  filter_ = SerializeInOrder(filter);
  if (!request.page_token().empty()) {
    APIUM_ASSIGN_OR_RETURN(token_,
                           DecodePageToken(request.page_token(), filter_));
  }
  return absl::OkStatus();
}

absl::Status ListTasksCall::ParseStates(const v1::ListTasksRequest& request) {
  bool any = request.states().empty();
  bool live = false;
  bool finished = false;
  for (const int state : request.states()) {
    if (!v1::TaskState_IsValid(state)) {
      return InvalidField("states", StrCat(state, " is not a state of a task"));
    }
    if (state == v1::TASK_STATE_UNSPECIFIED) {
      any = true;
      continue;
    }
    const TaskState known = static_cast<TaskState>(state);
    if (IsTerminal(known)) {
      finished = true;
    } else {
      live = true;
      live_filter_.states.push_back(known);
    }
  }
  wants_live_ = any || live;
  wants_finished_ = any || finished;
  if (any) live_filter_.states.clear();
  return absl::OkStatus();
}

void ListTasksCall::Begin() {
  const bool live =
      wants_live_ && token_.section == TaskPageToken::Section::kLive;
  if (!live) return ListFinished();
  ListTasksCommand command;
  command.reply = {std::static_pointer_cast<ListTasksCall>(shared_from_this()),
                   0};
  command.page_size = page_size_;
  command.page_token = token_.inner;
  command.filter = live_filter_;
  const absl::Status pushed =
      context_->mailbox->Push(std::move(command), MailboxShare::kOrdinary);
  if (!pushed.ok()) Answer(pushed);
}

void ListTasksCall::Take(uint64_t, Reply&& reply) {
  TaskPageReply* const body = std::get_if<TaskPageReply>(&reply.body);
  APIUM_CHECK(body != nullptr) << "reply of another kind";
  if (!body->status.ok()) return Answer(body->status);
  for (const TaskSnapshot& task : body->tasks) {
    SnapshotToProto(task, View::kBasic, page_.add_tasks());
  }
  if (!body->next_page_token.empty()) {
    SetNextPage(TaskPageToken::Section::kLive,
                std::move(body->next_page_token));
    return Answer(absl::OkStatus());
  }
  token_ = {};
  ListFinished();
}

void ListTasksCall::ListFinished() {
  if (!wants_finished_) return Answer(absl::OkStatus());
  if (context_->results == nullptr) {
    // Live tasks are a whole answer to a question about any task; one that
    // asks for finished ones alone has to hear that nobody knows.
    if (wants_live_) return Answer(absl::OkStatus());
    return Answer(WithReason(
        absl::UnavailableError("finished tasks cannot be listed: this broker "
                               "has no result service configured"),
        reason::kResultsUnavailable));
  }
  const uint32_t filled = static_cast<uint32_t>(page_.tasks_size());
  if (filled >= page_size_) {
    SetNextPage(TaskPageToken::Section::kFinished, "");
    return Answer(absl::OkStatus());
  }
  v1::ListResultsRequest request;
  request.set_namespace_(request_.namespace_());
  request.set_page_size(page_size_ - filled);
  if (token_.section == TaskPageToken::Section::kFinished) {
    request.set_page_token(token_.inner);
  }
  request.set_view(v1::TASK_VIEW_BASIC);
  v1::ResultFilter* const filter = request.mutable_filter();
  for (const int state : request_.states()) {
    if (IsTerminal(static_cast<TaskState>(state))) {
      filter->add_states(static_cast<v1::TaskState>(state));
    }
  }
  filter->set_queue(request_.queue());
  filter->set_type(request_.type());
  if (request_.has_finished_after()) {
    *filter->mutable_finished_after() = request_.finished_after();
  }
  if (request_.has_finished_before()) {
    *filter->mutable_finished_before() = request_.finished_before();
  }
  *filter->mutable_headers() = request_.headers();
  if (request_.has_created_after()) {
    *filter->mutable_created_after() = request_.created_after();
  }
  if (request_.has_created_before()) {
    *filter->mutable_created_before() = request_.created_before();
  }
  auto self = std::static_pointer_cast<ListTasksCall>(shared_from_this());
  context_->results->List(request, deadline_,
                          [self](absl::StatusOr<v1::ListResultsResponse> page) {
                            self->TakeFinished(std::move(page));
                          });
}

void ListTasksCall::TakeFinished(absl::StatusOr<v1::ListResultsResponse> page) {
  if (!page.ok()) {
    // The live tasks are worth having; the next page tells of the error.
    if (page_.tasks().empty()) return Answer(page.status());
    SetNextPage(TaskPageToken::Section::kFinished, "");
    return Answer(absl::OkStatus());
  }
  for (v1::TaskOutcome& outcome : *page->mutable_outcomes()) {
    FinishedTaskToProto(std::move(outcome), View::kBasic, page_.add_tasks());
  }
  if (!page->next_page_token().empty()) {
    SetNextPage(TaskPageToken::Section::kFinished,
                std::move(*page->mutable_next_page_token()));
  }
  Answer(absl::OkStatus());
}

void ListTasksCall::SetNextPage(TaskPageToken::Section section,
                                std::string inner) {
  page_.set_next_page_token(
      EncodePageToken({section, std::move(inner)}, filter_));
}

void ListTasksCall::Answer(const absl::Status& status) {
  if (!Claim()) return;
  if (!status.ok()) return Finish(ToGrpcStatus(status));
  response_->Swap(&page_);
  Finish(grpc::Status::OK);
}

}  // namespace apium::broker
