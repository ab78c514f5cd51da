#include "common/port_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/status_matchers.h"

namespace apium {
namespace {

using ::testing::HasSubstr;

std::string FreshFolder(const std::string& name) {
  const std::string folder = ::testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(PortFileTest, IsReadAsWritten) {
  const std::string path = FreshFolder("written") + "/ports";
  APIUM_ASSERT_OK(WritePortFile(path, {.grpc = 7450, .http = 9450}));
  EXPECT_THAT(ReadPortFile(path),
              IsOkAndHolds(BoundPorts{.grpc = 7450, .http = 9450}));
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)),
                         std::istreambuf_iterator<char>());
  EXPECT_EQ(text, "grpc=7450\nhttp=9450\n");
}

TEST(PortFileTest, LeavesNothingElseBehind) {
  const std::string folder = FreshFolder("alone");
  APIUM_ASSERT_OK(WritePortFile(folder + "/ports", {.grpc = 1}));
  APIUM_ASSERT_OK(WritePortFile(folder + "/ports", {.grpc = 2}));
  const auto files = std::filesystem::directory_iterator(folder);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
  EXPECT_THAT(ReadPortFile(folder + "/ports"),
              IsOkAndHolds(BoundPorts{.grpc = 2, .http = 0}));
}

TEST(PortFileTest, SaysWhenThereIsNone) {
  EXPECT_THAT(ReadPortFile(FreshFolder("none") + "/ports"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(PortFileTest, NamesTheFileItCannotWrite) {
  EXPECT_THAT(WritePortFile("/no/such/folder/ports", {.grpc = 1}),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("/no/such/folder/ports")));
}

TEST(PortFileTest, RefusesAnotherFile) {
  const std::string path = FreshFolder("other") + "/ports";
  std::ofstream(path) << "hello\n";
  EXPECT_THAT(ReadPortFile(path),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hello")));
}

}  // namespace
}  // namespace apium
