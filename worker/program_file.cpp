#include "worker/program_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace achilles::worker {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

std::string descriptor_path(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

/// An unnamed file in a folder of a disk.
Descriptor open_unnamed(const std::string& wanted_folder) {
  const char* const temporary = std::getenv("TMPDIR");
  const std::string folder = !wanted_folder.empty() ? wanted_folder
                             : temporary            ? temporary
                                                    : "/tmp";
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
  if (fd < 0) fail(errno, "a program finds no room in memory nor in the folder " + folder);
  return Descriptor(fd);
}

}  // namespace

ProgramFile::ProgramFile(Descriptor fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}

ProgramFile ProgramFile::sealed(std::span<const std::byte> bytes, const std::string& folder) {
  ProgramWriter writer(folder);
  writer.write(0, bytes);
  return writer.finish();
}

ProgramWriter::ProgramWriter(const std::string& folder) {
  // MFD_EXEC says what we want to kernels that would otherwise forbid it; older ones do not know
  // it.
  int fd = ::memfd_create("achilles-program", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (fd < 0 && errno == EINVAL) {
    fd = ::memfd_create("achilles-program", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  fd_ = Descriptor(fd);
  in_memory_ = fd >= 0 && ::access(descriptor_path(fd).c_str(), X_OK) == 0;
  if (!in_memory_) fd_ = open_unnamed(folder);
}

void ProgramWriter::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(written < 0 ? errno : ENOSPC, "a program finds no room on this machine");
    offset += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

ProgramFile ProgramWriter::finish() {
  if (in_memory_ && ::fcntl(fd_.get(), F_ADD_SEALS,
                            F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fail(errno, "a program in memory could not be sealed");
  }
  // A file that someone holds open for writing is not executed (ETXTBSY): only the new one stays.
  Descriptor reading(::open(descriptor_path(fd_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!reading) fail(errno, "a program could not be opened again for reading (is /proc mounted?)");
  fd_.reset();
  struct stat status{};
  if (::fstat(reading.get(), &status) != 0) fail(errno, "a program's size is unknown");
  return {std::move(reading), static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace achilles::worker
