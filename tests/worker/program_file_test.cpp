#include "worker/program_file.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/support/catch.hpp"
#include "worker/mapped_file.hpp"

namespace {

using namespace achilles;
using worker::ProgramFile;

ProgramFile copy_of_self() {
  const worker::MappedFile self(std::string("/proc/self/exe"));
  return ProgramFile::sealed(self.bytes());
}

/// Executes the descriptor with --list-tags, which every Catch2 program answers with status 0.
int run(const ProgramFile& file) {
  const std::string path = "/proc/self/fd/" + std::to_string(file.fd());
  std::array<const char*, 3> arguments = {"program", "--list-tags", nullptr};
  posix_spawn_file_actions_t quiet;
  ::posix_spawn_file_actions_init(&quiet);
  ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, path.c_str(), &quiet, nullptr,
                                  const_cast<char**>(arguments.data()), environ);
  ::posix_spawn_file_actions_destroy(&quiet);
  if (error != 0) return -error;
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace

TEST_CASE("a sealed copy can be executed many times and changed by nobody") {
  const ProgramFile copy = copy_of_self();
  REQUIRE(copy.size() > 1000);
  REQUIRE(run(copy) == 0);
  REQUIRE(run(copy) == 0);

  const std::string path = "/proc/self/fd/" + std::to_string(copy.fd());
  const worker::Descriptor writing(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (writing) {
    REQUIRE(::pwrite(writing.get(), "x", 1, 0) == -1);
    REQUIRE(::ftruncate(writing.get(), 0) == -1);
  }
  REQUIRE((::fcntl(copy.fd(), F_GET_SEALS) & F_SEAL_WRITE) != 0);
}

TEST_CASE("a moved-from program file is empty") {
  ProgramFile self = copy_of_self();
  const ProgramFile other = std::move(self);
  REQUIRE(self.fd() == -1);
  REQUIRE(other.fd() >= 0);
}
