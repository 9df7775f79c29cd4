#include "client/own_program.hpp"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string_view>

#include "achilles/error.hpp"
#include "protocol/content_hash.hpp"
#include "protocol/limits.hpp"

namespace achilles::client {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

std::uint64_t load_bias() {
  std::uint64_t bias = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        *static_cast<std::uint64_t*>(out) = info->dlpi_addr;
        return 1;
      },
      &bias);
  return bias;
}

/// Started as `ld.so program`, /proc/self/exe is the loader, and so it is inside an AppImage's
/// runtime.
bool is_what_runs(int fd) {
  Elf64_Ehdr header{};
  if (pread(fd, &header, sizeof header, 0) != sizeof header) return false;
  return header.e_entry + load_bias() == getauxval(AT_ENTRY);
}

bool is_system_library(std::string_view path) {
  constexpr std::array<std::string_view, 4> kSystemFolders = {"/lib/", "/lib64/", "/usr/lib/",
                                                              "/usr/lib64/"};
  std::error_code ignored;
  const std::string real = std::filesystem::canonical(path, ignored).string();
  return std::any_of(kSystemFolders.begin(), kSystemFolders.end(), [&](std::string_view folder) {
    return path.starts_with(folder) || std::string_view(real).starts_with(folder);
  });
}

int note_foreign_library(dl_phdr_info* info, std::size_t, void* out) {
  const std::string_view name = info->dlpi_name != nullptr ? info->dlpi_name : "";
  if (name.find('/') == std::string_view::npos || is_system_library(name)) return 0;
  *static_cast<std::string*>(out) = name;
  return 1;
}

}  // namespace

std::shared_ptr<const OwnProgram> OwnProgram::get() {
  static const std::shared_ptr<const OwnProgram> program(new OwnProgram);
  return program;
}

OwnProgram::OwnProgram() : fd_(open(kSelf, O_RDONLY | O_CLOEXEC)) {
  struct stat status{};
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    throw Error(std::string("achilles cannot open this program's executable, ") + kSelf + ": " +
                std::strerror(errno) + "; is /proc mounted?");
  }
  if (!is_what_runs(fd_)) {
    ::close(fd_);
    throw Error(
        "achilles cannot start this program again: it was started through a loader (ld.so, "
        "AppImage); "
        "start the executable itself");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  std::error_code ignored;
  name_ = std::filesystem::read_symlink(kSelf, ignored).filename().string();
}

OwnProgram::~OwnProgram() {
  ::close(fd_);
}

protocol::ProgramId OwnProgram::id() const {
  static std::once_flag once;
  static protocol::ProgramId id;
  std::call_once(once, [this] {
    protocol::ContentHash hash;
    for (std::uint64_t offset = 0; offset < size_; offset += protocol::kPartBytes) {
      hash.update(read(offset, protocol::kPartBytes).span());
    }
    id = hash.finish();
  });
  return id;
}

protocol::Bytes OwnProgram::read(std::uint64_t offset, std::uint64_t count) const {
  std::vector<std::byte> bytes(std::min(count, size_ - std::min(size_, offset)));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto got =
        pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw Error(std::string("achilles cannot read this program's executable: ") +
                  (got == 0 ? "it was cut short" : std::strerror(errno)));
    }
    done += static_cast<std::size_t>(got);
  }
  return protocol::Bytes::own(std::move(bytes));
}

void require_system_libraries_only() {
  std::string foreign;
  dl_iterate_phdr(note_foreign_library, &foreign);
  if (foreign.empty()) return;
  throw NotShippable(
      "achilles cannot send this program to other machines: it uses the shared library " + foreign +
      ", which they do not have; link that library statically");
}

}  // namespace achilles::client
