// Chunks and details of attempts, and when a session says them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/error_reason.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/session_harness.h"

namespace apium {
namespace {

const absl::Status kBroken = absl::UnavailableError("connection lost");

class SessionChunksTest : public ::testing::Test {
 protected:
  SessionChunksTest() {
    APIUM_EXPECT_OK(h_.Welcome("s1"));
    h_.Report();
    APIUM_EXPECT_OK(h_.Deliver({1, 2}));
    h_.Start(1);
    h_.Start(2);
    h_.Advance(kReportDelay);
    h_.Report();
  }

  SessionHarness h_{2};
};

TEST_F(SessionChunksTest, AreSaidAtOnceAndOnce) {
  APIUM_EXPECT_OK(h_.Append(1, "a"));
  APIUM_EXPECT_OK(h_.Append(2, "x"));
  APIUM_EXPECT_OK(h_.Append(1, "b"));
  EXPECT_EQ(h_.Report(), "chunk=1.1:a chunk=1.2:b chunk=2.1:x");
  EXPECT_EQ(h_.Report(), "");
  APIUM_EXPECT_OK(h_.Append(1, "c"));
  EXPECT_EQ(h_.Report(), "chunk=1.3:c");
}

TEST_F(SessionChunksTest, AreSaidAgainOnANewStreamUntilAcknowledged) {
  for (const char* data : {"a", "b", "c"}) APIUM_EXPECT_OK(h_.Append(1, data));
  h_.Report();
  APIUM_EXPECT_OK(h_.AcknowledgeChunks(1, 1));
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Append(1, "d"));
  EXPECT_EQ(h_.Report(), "");
  APIUM_EXPECT_OK(h_.Welcome("s1", /*resumed=*/true));
  EXPECT_EQ(h_.Report(), "chunk=1.2:b chunk=1.3:c chunk=1.4:d");
  APIUM_EXPECT_OK(h_.AcknowledgeChunks(1, 4));
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", /*resumed=*/true));
  EXPECT_EQ(h_.Report(), "");
}

TEST_F(SessionChunksTest, AnOutcomeGoesBehindThem) {
  APIUM_EXPECT_OK(h_.Append(1, "a"));
  h_.Finish(1);
  EXPECT_EQ(h_.Report(), "chunk=1.1:a outcomes=1 credit=1");
}

TEST_F(SessionChunksTest, AnOutcomeWaitsForChunksThatDoNotFitItsReport) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", true, {}, [](v1::Welcome* welcome) {
    welcome->set_chunk_window_bytes(100'000'000);
  }));
  const std::string big(kReportBytesMax / 2, 'x');
  APIUM_EXPECT_OK(h_.Append(1, big));
  APIUM_EXPECT_OK(h_.Append(1, big));
  h_.Finish(1);
  h_.Finish(2);
  EXPECT_EQ(h_.Report(), "chunk=1.1:xxxxxxxx outcomes=2 credit=2");
  EXPECT_EQ(h_.Report(), "chunk=1.2:xxxxxxxx outcomes=1");
}

TEST_F(SessionChunksTest, WaitForRoomInTheWindow) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", true, {}, [](v1::Welcome* welcome) {
    welcome->set_chunk_window_bytes(100);
  }));
  APIUM_EXPECT_OK(h_.Append(1, std::string(90, 'a')));
  EXPECT_THAT(h_.Append(2, std::string(50, 'b')),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  h_.Report();
  APIUM_EXPECT_OK(h_.AcknowledgeChunks(1, 1));
  APIUM_EXPECT_OK(h_.Append(2, std::string(50, 'b')));
}

TEST_F(SessionChunksTest, OneThatIsLargerThanTheWindowGoesAlone) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", true, {}, [](v1::Welcome* welcome) {
    welcome->set_chunk_window_bytes(10);
  }));
  APIUM_EXPECT_OK(h_.Append(1, std::string(90, 'a')));
}

TEST_F(SessionChunksTest, ACancelEndsTheWaitForRoom) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", true, {}, [](v1::Welcome* welcome) {
    welcome->set_chunk_window_bytes(100);
  }));
  APIUM_EXPECT_OK(h_.Append(1, std::string(90, 'a')));
  h_.pool().at(1)->cancel().Cancel(CancelCause::kRequested, "enough");
  EXPECT_THAT(h_.Append(1, std::string(50, 'b'), absl::InfiniteDuration()),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(SessionChunksTest, ARefusalEndsTheAppending) {
  APIUM_EXPECT_OK(h_.Append(1, "a"));
  h_.Report();
  APIUM_EXPECT_OK(h_.AcknowledgeChunks(1, 1, "CHUNK_LIMIT"));
  const absl::Status refused = h_.Append(1, "b");
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(ReasonOf(refused), reason::kChunkLimit);
  EXPECT_EQ(h_.Report(), "");
  APIUM_EXPECT_OK(h_.Append(2, "x"));
}

TEST_F(SessionChunksTest, ALostLeaseGivesItsRoomBack) {
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", true, {}, [](v1::Welcome* welcome) {
    welcome->set_chunk_window_bytes(100);
  }));
  APIUM_EXPECT_OK(h_.Append(1, std::string(90, 'a')));
  APIUM_EXPECT_OK(h_.Refuse(1, absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(h_.Append(1, "b"), StatusIs(absl::StatusCode::kCancelled));
  APIUM_EXPECT_OK(h_.Append(2, std::string(90, 'b')));
}

TEST_F(SessionChunksTest, FlushWaitsForTheAcknowledgement) {
  APIUM_EXPECT_OK(h_.Append(1, "a"));
  EXPECT_THAT(h_.pool().at(1)->FlushChunks(absl::InfinitePast()),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  h_.Report();
  APIUM_EXPECT_OK(h_.AcknowledgeChunks(1, 1));
  APIUM_EXPECT_OK(h_.pool().at(1)->FlushChunks(absl::InfiniteFuture()));
}

TEST_F(SessionChunksTest, DetailsStayWhenProgressWithoutFollows) {
  h_.SetDetails(1, "cursor");
  h_.SetProgress(1, 5);
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "progress=1:5cursor");
  h_.SetProgress(1, 6);
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "progress=1:6");
}

TEST_F(SessionChunksTest, DetailsOfAnAttemptThatEndsAreSaidWithItsOutcome) {
  h_.SetDetails(1, "cursor");
  h_.Finish(1);
  EXPECT_EQ(h_.Report(), "progress=1:0cursor outcomes=1 credit=1");
}

TEST_F(SessionChunksTest, DetailsAreSaidAgainOnANewStream) {
  h_.SetDetails(1, "cursor");
  h_.Advance(kReportDelay);
  h_.Report();
  h_.CloseStream(kBroken);
  APIUM_EXPECT_OK(h_.Welcome("s1", /*resumed=*/true));
  h_.Advance(kReportDelay);
  EXPECT_EQ(h_.Report(), "started=1,2 progress=1:0cursor");
}

}  // namespace
}  // namespace apium
