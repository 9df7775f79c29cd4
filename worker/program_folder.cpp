#include "worker/program_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <vector>

#include "protocol/content_hash.hpp"
#include "worker/descriptor.hpp"

namespace achilles::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPieceBytes = 1 << 20;
/// A worker that was killed while it wrote leaves a file of this kind behind.
constexpr const char* kIncomingPrefix = ".incoming-";
constexpr std::chrono::hours kAbandonedAfter{24};

}  // namespace

ProgramFolder::ProgramFolder(const std::string& folder) : folder_(folder + "/programs") {
  fs::create_directories(folder_);
  if (::access(folder_.c_str(), R_OK | W_OK | X_OK) != 0) {
    throw std::system_error(errno, std::generic_category(), folder_);
  }
  remove_abandoned();
}

std::string ProgramFolder::path_of(protocol::ProgramId program) const {
  return folder_ + "/" + protocol::to_hex(program);
}

void ProgramFolder::remove_abandoned() const {
  std::error_code ignored;
  const auto now = fs::file_time_type::clock::now();
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (!entry.path().filename().string().starts_with(kIncomingPrefix)) continue;
    std::error_code gone;
    const auto written = entry.last_write_time(gone);
    if (!gone && now - written > kAbandonedAfter) fs::remove(entry.path(), gone);
  }
}

std::optional<ProgramFile> ProgramFolder::read(protocol::ProgramId program,
                                               const std::atomic<bool>& stop) const {
  const std::string path = path_of(program);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return std::nullopt;
  ProgramWriter copy(folder_);
  protocol::ContentHash hash;
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t offset = 0;;) {
    if (stop) return std::nullopt;
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    const std::span<const std::byte> bytes(piece.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    copy.write(offset, bytes);
    offset += bytes.size();
  }
  if (hash.finish() != program) {
    ::unlink(path.c_str());
    return std::nullopt;
  }
  ::futimens(file.get(), nullptr);  // Used now: trim goes by this time.
  return copy.finish();
}

bool ProgramFolder::write(protocol::ProgramId program, std::span<const std::byte> bytes,
                          const std::atomic<bool>& stop) const {
  std::string incoming = folder_ + "/" + kIncomingPrefix + "XXXXXX";
  const Descriptor file(::mkostemp(incoming.data(), O_CLOEXEC));
  if (!file) return false;
  while (!bytes.empty() && !stop) {
    const ssize_t written = ::write(file.get(), bytes.data(), std::min(bytes.size(), kPieceBytes));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  // No fsync: what a power failure damages is found out when it is read.
  if (bytes.empty() && ::rename(incoming.c_str(), path_of(program).c_str()) == 0) return true;
  ::unlink(incoming.c_str());
  return false;
}

void ProgramFolder::trim(std::uint64_t bytes_max,
                         const std::function<bool(protocol::ProgramId)>& in_use) const {
  struct Kept {
    fs::file_time_type used;
    std::uint64_t bytes = 0;
    std::string name;
  };
  std::vector<Kept> all;
  std::uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!protocol::program_from_hex(name)) continue;
    std::error_code gone;  // Another worker trims too.
    const auto used = entry.last_write_time(gone);
    const auto bytes = gone ? 0 : entry.file_size(gone);
    if (gone) continue;
    all.push_back({used, bytes, name});
    total += bytes;
  }
  std::ranges::sort(all, {}, &Kept::used);
  for (const Kept& kept : all) {
    if (total <= bytes_max) return;
    if (in_use(*protocol::program_from_hex(kept.name))) continue;
    std::error_code gone;
    fs::remove(folder_ + "/" + kept.name, gone);
    total -= kept.bytes;
  }
}

}  // namespace achilles::worker
