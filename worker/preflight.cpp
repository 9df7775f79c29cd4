#include "worker/preflight.hpp"

#include <elf.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>
#include <variant>

#include "worker/elf_facts.hpp"
#include "worker/mapped_file.hpp"

namespace achilles::worker {
namespace {

namespace fs = std::filesystem;

#if defined(__x86_64__)
constexpr std::uint16_t kThisMachine = EM_X86_64;
constexpr const char* kMultiarch = "x86_64-linux-gnu";
#elif defined(__aarch64__)
constexpr std::uint16_t kThisMachine = EM_AARCH64;
constexpr const char* kMultiarch = "aarch64-linux-gnu";
#elif defined(__riscv) && __riscv_xlen == 64
constexpr std::uint16_t kThisMachine = EM_RISCV;
constexpr const char* kMultiarch = "riscv64-linux-gnu";
#elif defined(__powerpc64__)
constexpr std::uint16_t kThisMachine = EM_PPC64;
constexpr const char* kMultiarch = "powerpc64le-linux-gnu";
#else
#error "achilles runs on 64-bit little-endian Linux: x86-64, AArch64, RISC-V and PowerPC"
#endif

/// The library's facts, when it is there and made for this machine (a 32-bit one of the same name
/// is passed over, as the loader does).
std::optional<ElfFacts> library_at(const std::string& path) {
  const MappedFile file(path);
  if (file.bytes().empty()) return std::nullopt;
  auto facts = read_elf(file.bytes());
  auto* const good = std::get_if<ElfFacts>(&facts);
  if (!good || good->machine != kThisMachine) return std::nullopt;
  return std::move(*good);
}

std::optional<ElfFacts> find_library(const std::string& name,
                                     std::span<const std::string> folders) {
  if (name.find('/') != std::string::npos) return library_at(name);
  for (const std::string& folder : folders) {
    if (auto facts = library_at(folder + "/" + name)) return facts;
  }
  return std::nullopt;
}

void read_loader_configuration(const std::string& path, std::vector<std::string>& folders,
                               int depth) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    line.erase(std::min(line.find('#'), line.size()));
    std::istringstream words(line);
    std::string word;
    if (!(words >> word)) continue;
    if (word != "include") {
      folders.push_back(word);
      continue;
    }
    std::string pattern;
    while (depth < 4 && words >> pattern) {
      if (!pattern.starts_with('/')) pattern = (fs::path(path).parent_path() / pattern).string();
      glob_t found{};
      if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
        for (std::size_t i = 0; i < found.gl_pathc; ++i) {
          read_loader_configuration(found.gl_pathv[i], folders, depth + 1);
        }
      }
      ::globfree(&found);
    }
  }
}

/// "GLIBCXX_3.4.31" is ("GLIBCXX", {3, 4, 31}): versions of one name have an order.
std::pair<std::string, std::vector<std::uint64_t>> ordered(const std::string& version) {
  const std::size_t cut = std::min(version.rfind('_'), version.size());
  std::vector<std::uint64_t> numbers;
  std::istringstream parts(cut < version.size() ? version.substr(cut + 1) : "");
  std::string part;
  while (std::getline(parts, part, '.'))
    numbers.push_back(std::strtoull(part.c_str(), nullptr, 10));
  return {version.substr(0, cut), numbers};
}

std::optional<std::string> missing_version(const ElfFacts::NeededVersions& needs,
                                           const ElfFacts& library) {
  const auto& defined = library.defined_versions;
  if (defined.empty()) return std::nullopt;  // Without versions the loader takes it as it is.
  std::optional<std::string> missing;
  for (const std::string& version : needs.versions) {
    if (std::ranges::find(defined, version) != defined.end()) continue;
    if (!missing || ordered(*missing) < ordered(version)) missing = version;
  }
  if (!missing) return std::nullopt;

  std::optional<std::string> best;
  for (const std::string& version : defined) {
    if (ordered(version).first != ordered(*missing).first) continue;
    if (!best || ordered(*best) < ordered(version)) best = version;
  }
  const std::string sentence = "it needs " + *missing + " from " + needs.library + ", which ";
  if (best) return sentence + "has up to " + *best + " here";
  return sentence + "has no " + ordered(*missing).first + " version here";
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  return text;
}

/// The folders that the executable itself wants searched. Those with $ORIGIN are left out: a
/// shipped program has no folder of its own.
std::vector<std::string> own_folders(const ElfFacts& facts) {
  std::vector<std::string> folders = facts.runpath.empty() ? facts.rpath : facts.runpath;
  std::erase_if(folders,
                [](const std::string& folder) { return folder.find('$') != std::string::npos; });
  return folders;
}

std::optional<std::string> check_libraries(const ElfFacts& facts,
                                           std::span<const std::string> folders) {
  std::vector<std::string> all = own_folders(facts);
  all.insert(all.end(), folders.begin(), folders.end());

  std::vector<std::pair<std::string, ElfFacts>> found;
  std::vector<std::string> missing;
  for (const std::string& name : facts.needed) {
    if (auto library = find_library(name, all)) {
      found.emplace_back(name, std::move(*library));
    } else {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) {
    return "it needs " + listed(missing) + ", which " + (missing.size() == 1 ? "is" : "are") +
           " not in this machine's library folders: install " +
           (missing.size() == 1 ? "it" : "them") + " here, or link the program statically";
  }
  for (const auto& needs : facts.needed_versions) {
    const auto library =
        std::ranges::find(found, needs.library, [](const auto& entry) { return entry.first; });
    if (library == found.end()) continue;
    if (auto sentence = missing_version(needs, library->second)) return sentence;
  }
  return std::nullopt;
}

std::optional<std::string> check(const std::variant<ElfFacts, ElfDamaged>& read,
                                 std::span<const std::string> folders) {
  if (const auto* damaged = std::get_if<ElfDamaged>(&read)) return damaged->reason;
  const ElfFacts& facts = std::get<ElfFacts>(read);
  if (facts.machine != kThisMachine) {
    return "it is built for " + machine_name(facts.machine) + ", this machine is " +
           machine_name(kThisMachine);
  }
  if (facts.type != ET_EXEC && facts.type != ET_DYN) {
    return "it is an ELF file, but no executable";
  }
  if (facts.interpreter.empty()) {
    if (facts.needed.empty()) return std::nullopt;  // Static.
    return "it is a shared library, no executable";
  }
  if (::access(facts.interpreter.c_str(), X_OK) != 0) {
    return "its loader " + facts.interpreter + " is not on this machine";
  }
  return check_libraries(facts, folders);
}

}  // namespace

std::vector<std::string> system_library_folders() {
  std::vector<std::string> folders;
  if (const char* path = std::getenv("LD_LIBRARY_PATH")) {
    std::istringstream parts(path);
    std::string part;
    while (std::getline(parts, part, ':')) {
      if (!part.empty()) folders.push_back(part);
    }
  }
  read_loader_configuration("/etc/ld.so.conf", folders, 0);
  const std::string multiarch = kMultiarch;
  for (const std::string& folder : {"/lib/" + multiarch, "/usr/lib/" + multiarch}) {
    folders.push_back(folder);
  }
  for (const char* folder : {"/lib64", "/usr/lib64", "/lib", "/usr/lib"})
    folders.emplace_back(folder);
  return folders;
}

std::optional<std::string> preflight(std::span<const std::byte> elf) {
  std::vector<std::string> folders = system_library_folders();
  const auto read = read_elf(elf);
  if (const auto* facts = std::get_if<ElfFacts>(&read)) {
    // Nix and Guix keep the C library beside its loader and nowhere else.
    std::error_code unknown;
    const fs::path loader = fs::canonical(facts->interpreter, unknown);
    if (!unknown) folders.push_back(loader.parent_path().string());
  }
  return check(read, folders);
}

std::optional<std::string> preflight(std::span<const std::byte> elf,
                                     std::span<const std::string> folders) {
  return check(read_elf(elf), folders);
}

std::vector<std::string> needed_libraries(std::span<const std::byte> elf) {
  auto read = read_elf(elf);
  auto* const facts = std::get_if<ElfFacts>(&read);
  return facts ? std::move(facts->needed) : std::vector<std::string>{};
}

std::vector<std::string> wanted_library_folders(std::span<const std::byte> elf) {
  auto read = read_elf(elf);
  auto* const facts = std::get_if<ElfFacts>(&read);
  if (!facts) return {};
  return facts->runpath.empty() ? std::move(facts->rpath) : std::move(facts->runpath);
}

}  // namespace achilles::worker
