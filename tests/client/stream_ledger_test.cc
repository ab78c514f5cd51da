#include "client/stream_ledger.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "tests/support/status_matchers.h"

namespace apium {
namespace {

class StreamLedgerTest : public ::testing::Test {
 protected:
  StreamLedger Ledger(size_t window, size_t batch_tasks_max,
                      size_t batch_bytes_max = 1 << 20) {
    return StreamLedger({.window = window,
                         .batch_tasks_max = batch_tasks_max,
                         .batch_bytes_max = batch_bytes_max});
  }

  void Add(StreamLedger& ledger, const std::string& id,
           size_t payload_bytes = 0) {
    v1::TaskSpec spec;
    spec.set_task_id(id);
    spec.mutable_payload()->set_data(std::string(payload_bytes, 'x'));
    ledger.Add(&spec);
  }

  // Ids in the next message, "-" if none may be sent.
  std::string Next(StreamLedger& ledger) {
    const v1::StreamTasksRequest* message = ledger.Next();
    if (message == nullptr) return "-";
    return absl::StrJoin(message->batch().specs(), " ",
                         [](std::string* out, const v1::TaskSpec& spec) {
                           out->append(spec.task_id());
                         });
  }

  // "sequence:id" of the task that is answered, and nothing else in use.
  std::string Answer(StreamLedger& ledger, uint64_t number) {
    absl::StatusOr<StreamLedger::Answered> answered = ledger.Answer(number);
    if (!answered.ok()) return std::string(answered.status().message());
    std::string text = StrCat(answered->sequence, ":", *answered->task_id);
    ledger.Recycle();
    return text;
  }
};

TEST_F(StreamLedgerTest, TasksThatWaitLeaveTogetherUpToTheLimitOfAMessage) {
  StreamLedger ledger = Ledger(100, 2);
  ledger.Open(100);
  Add(ledger, "a");
  Add(ledger, "b");
  Add(ledger, "c");
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Next(ledger), "c");
  EXPECT_EQ(Next(ledger), "-");
}

TEST_F(StreamLedgerTest, ATaskIsNeverAddedToAMessageThatWasSent) {
  StreamLedger ledger = Ledger(100, 10);
  ledger.Open(100);
  Add(ledger, "a");
  EXPECT_EQ(Next(ledger), "a");
  Add(ledger, "b");
  EXPECT_EQ(Next(ledger), "b");
}

TEST_F(StreamLedgerTest, MessagesAreBoundedInBytes) {
  StreamLedger ledger = Ledger(100, 100, 1000);
  ledger.Open(100);
  Add(ledger, "a", 400);
  Add(ledger, "b", 400);
  Add(ledger, "large", 5000);
  EXPECT_EQ(Next(ledger), "a");
  EXPECT_EQ(Next(ledger), "b");
  EXPECT_EQ(Next(ledger), "large");
}

TEST_F(StreamLedgerTest, NothingIsSentBeforeTheStreamIsOpen) {
  StreamLedger ledger = Ledger(100, 10);
  Add(ledger, "a");
  EXPECT_EQ(Next(ledger), "-");
  ledger.Open(100);
  EXPECT_EQ(Next(ledger), "a");
}

TEST_F(StreamLedgerTest, RoomIsTheWindowLessTheUnanswered) {
  StreamLedger ledger = Ledger(2, 10);
  ledger.Open(100);
  EXPECT_EQ(ledger.room(), 2u);
  Add(ledger, "a");
  Add(ledger, "b");
  EXPECT_EQ(ledger.room(), 0u);
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Answer(ledger, 1), "1:a");
  EXPECT_EQ(ledger.room(), 1u);
  EXPECT_EQ(ledger.unanswered(), 1u);
}

TEST_F(StreamLedgerTest, TheBrokersWindowHoldsMessagesBack) {
  StreamLedger ledger = Ledger(100, 2);
  ledger.Open(3);
  Add(ledger, "a");
  Add(ledger, "b");
  Add(ledger, "c");
  Add(ledger, "d");
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Next(ledger), "-");
  EXPECT_EQ(Answer(ledger, 1), "1:a");
  EXPECT_EQ(Next(ledger), "c d");
}

TEST_F(StreamLedgerTest, MessagesLargerThanTheBrokersWindowAreSplit) {
  StreamLedger ledger = Ledger(100, 10);
  for (const char* id : {"a", "b", "c"}) Add(ledger, id);
  ledger.Open(2);
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Next(ledger), "-");
  EXPECT_EQ(Answer(ledger, 2), "2:b");
  EXPECT_EQ(Next(ledger), "c");
}

TEST_F(StreamLedgerTest, AnswersMayComeInAnyOrder) {
  StreamLedger ledger = Ledger(100, 2);
  ledger.Open(100);
  for (const char* id : {"a", "b", "c", "d"}) Add(ledger, id);
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Next(ledger), "c d");
  EXPECT_EQ(Answer(ledger, 4), "4:d");
  EXPECT_EQ(Answer(ledger, 1), "1:a");
  EXPECT_EQ(Answer(ledger, 3), "3:c");
  EXPECT_EQ(Answer(ledger, 2), "2:b");
  EXPECT_EQ(ledger.unanswered(), 0u);
}

TEST_F(StreamLedgerTest, AnswersToWhatWasNotAskedAreErrors) {
  StreamLedger ledger = Ledger(100, 10);
  ledger.Open(100);
  Add(ledger, "a");
  Add(ledger, "b");
  EXPECT_THAT(ledger.Answer(1),
              StatusIs(absl::StatusCode::kInternal));  // not sent yet
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_THAT(ledger.Answer(0), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(ledger.Answer(3), StatusIs(absl::StatusCode::kInternal));
  EXPECT_THAT(ledger.Answer(1), IsOk());
  EXPECT_THAT(ledger.Answer(1), StatusIs(absl::StatusCode::kInternal,
                                         ::testing::HasSubstr("twice")));
}

TEST_F(StreamLedgerTest,
       RewindMakesTheUnansweredWaitAgainInOrderWithTheirSequences) {
  StreamLedger ledger = Ledger(100, 2);
  ledger.Open(100);
  for (const char* id : {"a", "b", "c", "d"}) Add(ledger, id);
  EXPECT_EQ(Next(ledger), "a b");
  EXPECT_EQ(Next(ledger), "c d");
  EXPECT_EQ(Answer(ledger, 2), "2:b");
  Add(ledger, "e");
  ledger.Rewind();
  EXPECT_EQ(absl::StrJoin(ledger.UnansweredIds(), " "), "a c d e");
  EXPECT_EQ(Next(ledger), "-");
  ledger.Open(100);
  EXPECT_EQ(Next(ledger), "a c");
  EXPECT_EQ(Next(ledger), "d e");
  // Numbers count anew on the new stream; sequences stay.
  EXPECT_EQ(Answer(ledger, 1), "1:a");
  EXPECT_EQ(Answer(ledger, 2), "3:c");
  EXPECT_EQ(Answer(ledger, 4), "5:e");
}

TEST_F(StreamLedgerTest, TheMemoryOfAnsweredTasksIsUsedAgain) {
  StreamLedger ledger = Ledger(100, 2);
  ledger.Open(100);
  Add(ledger, "a");
  const v1::StreamTasksRequest* first = ledger.Next();
  EXPECT_EQ(Answer(ledger, 1), "1:a");
  Add(ledger, "b");
  EXPECT_EQ(ledger.Next(), first);
  EXPECT_EQ(first->batch().specs(0).task_id(), "b");
}

}  // namespace
}  // namespace apium
