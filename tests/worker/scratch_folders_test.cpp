#include "worker/scratch_folders.hpp"

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/catch.hpp"

namespace {

using achilles::worker::ScratchFolders;
namespace fs = std::filesystem;

struct TemporaryFolder {
  std::string path = (fs::temp_directory_path() / "achilles-test-XXXXXX").string();
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data())); }
  ~TemporaryFolder() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("scratch folders are empty, apart from each other, and gone at the end") {
  const TemporaryFolder parent;
  std::string first;
  {
    ScratchFolders scratch(parent.path + "/scratch");
    first = scratch.make("task-1");
    const std::string second = scratch.make("task-1");
    REQUIRE(first != second);
    REQUIRE(fs::is_empty(first));
    fs::create_directories(first + "/locked/inside");
    std::ofstream(first + "/locked/file") << "x";
    fs::permissions(first + "/locked", fs::perms::owner_read);
    scratch.discard(first);
  }
  REQUIRE(fs::is_empty(parent.path + "/scratch"));
}

TEST_CASE("what a killed worker left is removed, what a living one uses is not") {
  const TemporaryFolder parent;
  std::optional<ScratchFolders> living(parent.path);
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  const std::string in_use = living->make("task");
  fs::last_write_time(living->root(), long_ago);
  const std::string abandoned = parent.path + "/achilles-scratch-abcdef";
  const std::string foreign = parent.path + "/something-else";
  for (const std::string& folder : {abandoned, foreign}) {
    fs::create_directories(folder + "/inside");
    fs::last_write_time(folder, long_ago);
  }
  {
    const ScratchFolders next(parent.path);
  }
  // The living one looks around when it begins, as the next one does: it may be the one to remove
  // it.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (fs::exists(abandoned) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE_FALSE(fs::exists(abandoned));
  REQUIRE(fs::exists(in_use));
  REQUIRE(fs::exists(foreign));
}

TEST_CASE("without a folder to write, temporary files' place serves") {
  ScratchFolders scratch("/proc/nowhere");
  REQUIRE(fs::exists(scratch.make("task")));
}
