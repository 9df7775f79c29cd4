#include "worker/program_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "protocol/content_hash.hpp"
#include "protocol/limits.hpp"
#include "tests/support/catch.hpp"
#include "tests/worker/worker_test_support.hpp"
#include "worker/mapped_file.hpp"

namespace {

using namespace achilles;
using protocol::ProgramId;
using worker::ProgramCache;
namespace fs = std::filesystem;

struct TemporaryFolder {
  std::string path = (fs::temp_directory_path() / "achilles-cache-XXXXXX").string();
  TemporaryFolder() { REQUIRE(::mkdtemp(path.data())); }
  ~TemporaryFolder() { fs::remove_all(path); }
};

/// A real program of at least four parts: bytes behind its end do not matter to an ELF file.
std::vector<std::byte> scripted_task() {
  const worker::MappedFile file{std::string(SCRIPTED_TASK)};
  std::vector<std::byte> bytes(file.bytes().begin(), file.bytes().end());
  bytes.resize(std::max<std::size_t>(bytes.size(), protocol::kPartBytes * 7 / 2));
  return bytes;
}

std::vector<protocol::ProgramPart> parts_of(const std::vector<std::byte>& bytes, ProgramId name) {
  std::vector<protocol::ProgramPart> parts;
  for (std::uint64_t offset = 0; offset < bytes.size(); offset += protocol::kPartBytes) {
    const auto size = std::min<std::uint64_t>(protocol::kPartBytes, bytes.size() - offset);
    parts.push_back({name, bytes.size(), offset,
                     protocol::Bytes::copy(std::span(bytes).subspan(offset, size))});
  }
  return parts;
}

worker::Event next(ProgramCache& cache) {
  std::vector<worker::Event> events;
  worker::test::wait_until(cache.event_fd(), [&] {
    events = cache.take_events();
    return !events.empty();
  });
  REQUIRE(events.size() == 1);
  return events[0];
}

void store(ProgramCache& cache, const std::vector<std::byte>& bytes, ProgramId name) {
  for (auto& part : parts_of(bytes, name)) cache.store(std::move(part));
}

/// All orders given before it are carried out once its answer is here.
void settle(ProgramCache& cache) {
  ProgramId nobody;
  nobody.hash.fill(0xEE);
  cache.load(nobody);
  REQUIRE(std::holds_alternative<worker::ProgramAbsent>(next(cache)));
}

}  // namespace

TEST_CASE(
    "a program that is not there is absent; once stored it is loaded, here and by the next "
    "worker") {
  const TemporaryFolder folder;
  const auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  {
    ProgramCache cache({folder.path});
    REQUIRE(cache.problem().empty());
    cache.load(name);
    REQUIRE(std::get<worker::ProgramAbsent>(next(cache)).program == name);
    REQUIRE(cache.program_fd(name) == -1);
    auto parts = parts_of(bytes, name);
    REQUIRE(parts.size() > 2);
    cache.store(parts[0]);
    cache.store(parts[1]);
    cache.store(parts[0]);  // Begins anew.
    cache.store(parts.back());
    cache.store(parts.back());
    for (std::size_t i = 1; i + 1 < parts.size(); ++i) cache.store(parts[i]);
    REQUIRE(std::get<worker::ProgramLoaded>(next(cache)).program == name);
    const worker::MappedFile loaded(cache.program_fd(name));
    REQUIRE(std::equal(bytes.begin(), bytes.end(), loaded.bytes().begin(), loaded.bytes().end()));
    settle(cache);
    REQUIRE(fs::file_size(folder.path + "/programs/" + protocol::to_hex(name)) == bytes.size());
  }
  ProgramCache cache({folder.path});
  cache.load(name);
  REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));
  REQUIRE(cache.program_fd(name) >= 0);
}

TEST_CASE("a file that was damaged in the folder is deleted and absent") {
  const TemporaryFolder folder;
  const auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  const std::string path = folder.path + "/programs/" + protocol::to_hex(name);
  fs::create_directories(folder.path + "/programs");
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), 5000);
  }
  ProgramCache cache({folder.path});
  cache.load(name);
  REQUIRE(std::holds_alternative<worker::ProgramAbsent>(next(cache)));
  REQUIRE_FALSE(fs::exists(path));
}

TEST_CASE("bytes that do not match their name are not run") {
  const TemporaryFolder folder;
  auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  bytes[bytes.size() / 2] ^= std::byte{1};
  ProgramCache cache({folder.path});
  store(cache, bytes, name);
  REQUIRE(std::get<worker::ProgramUnusable>(next(cache)).reason.find("named after") !=
          std::string::npos);
  REQUIRE(cache.program_fd(name) == -1);
  settle(cache);
  REQUIRE(fs::is_empty(folder.path + "/programs"));
}

TEST_CASE("a program that cannot run here is refused with the reason") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes(3 * protocol::kPartBytes / 2, std::byte{7});
  const ProgramId name = protocol::hash_of(bytes);
  ProgramCache cache({folder.path});
  store(cache, bytes, name);
  REQUIRE(std::get<worker::ProgramUnusable>(next(cache)).reason == "it is no ELF file");
  // The next time it comes from the folder, without being sent again.
  settle(cache);
  cache.load(name);
  REQUIRE(std::holds_alternative<worker::ProgramUnusable>(next(cache)));
}

TEST_CASE("parts that fit nowhere are ignored, absurd sizes refused") {
  const TemporaryFolder folder;
  const auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  ProgramCache cache({folder.path});
  auto part = parts_of(bytes, name)[0];
  cache.store(part);
  part.offset = 17;
  cache.store(part);
  part.offset = protocol::kPartBytes * 100000;
  cache.store(part);
  part = parts_of(bytes, name)[0];
  part.bytes = protocol::Bytes::copy("short");
  part.offset = 0;
  cache.store(part);
  part.total_bytes += 1;
  cache.store(part);
  store(cache, bytes, name);
  REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));

  part.program.hash.fill(1);
  part.total_bytes = ~0ULL;
  cache.store(part);
  REQUIRE(std::holds_alternative<worker::ProgramUnusable>(next(cache)));
}

TEST_CASE("without a folder to write programs are kept in memory") {
  ProgramCache cache({"/proc/nowhere"});
  REQUIRE(cache.problem().find("/proc/nowhere") != std::string::npos);
  const auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  store(cache, bytes, name);
  REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));
  REQUIRE(cache.program_fd(name) >= 0);
  cache.load(name);
  REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));
}

TEST_CASE("the longest unused programs leave the folder, those in use stay") {
  const TemporaryFolder folder;
  const auto bytes = scripted_task();
  const ProgramId name = protocol::hash_of(bytes);
  fs::create_directories(folder.path + "/programs");
  const auto now = fs::file_time_type::clock::now();
  std::vector<std::string> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(folder.path + "/programs/" + std::string(63, '0') + std::to_string(i));
    std::ofstream(others.back()) << std::string(1000, 'x');
    fs::last_write_time(others.back(), now - std::chrono::hours(10 - i));
  }
  worker::ProgramCacheOptions options{folder.path};
  options.disk_bytes_max = bytes.size() + 1500;
  ProgramCache cache(options);
  store(cache, bytes, name);
  REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));
  settle(cache);
  REQUIRE_FALSE(fs::exists(others[0]));
  REQUIRE_FALSE(fs::exists(others[1]));
  REQUIRE(fs::exists(others[2]));
  REQUIRE(fs::exists(folder.path + "/programs/" + protocol::to_hex(name)));
}

TEST_CASE("a program whose copy in memory made room for another comes back from the folder") {
  const TemporaryFolder folder;
  auto first = scripted_task();
  auto second = first;
  second.push_back(std::byte{0});
  worker::ProgramCacheOptions options{folder.path};
  options.memory_bytes_max = first.size();
  ProgramCache cache(options);
  for (const auto* bytes : {&first, &second}) {
    store(cache, *bytes, protocol::hash_of(*bytes));
    REQUIRE(std::holds_alternative<worker::ProgramLoaded>(next(cache)));
    settle(cache);
  }
  REQUIRE(cache.program_fd(protocol::hash_of(first)) >= 0);
  REQUIRE(cache.program_fd(protocol::hash_of(second)) >= 0);
}

TEST_CASE("what a killed worker left half-written is removed when it is old") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path + "/programs");
  const std::string old_file = folder.path + "/programs/.incoming-abcdef";
  const std::string new_file = folder.path + "/programs/.incoming-ghijkl";
  std::ofstream(old_file) << "x";
  std::ofstream(new_file) << "x";
  fs::last_write_time(old_file, fs::file_time_type::clock::now() - std::chrono::hours(48));
  const ProgramCache cache({folder.path});
  REQUIRE_FALSE(fs::exists(old_file));
  REQUIRE(fs::exists(new_file));
}
