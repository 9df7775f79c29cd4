// What an ELF file says about itself: for which machine, with which loader and libraries.
//
// Pure, and total on any bytes: a file that lies about itself gets a sentence, never a crash, and
// no more time than its size deserves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace achilles::worker {

struct ElfFacts {
  struct NeededVersions {
    std::string library;
    std::vector<std::string> versions;  ///< Without the weak ones.
  };
  std::uint16_t type = 0;     ///< ET_EXEC, ET_DYN, …
  std::uint16_t machine = 0;  ///< EM_X86_64, …
  std::string interpreter;    ///< The loader's path; empty in a static program.
  std::vector<std::string> needed;
  std::vector<NeededVersions> needed_versions;
  std::vector<std::string> defined_versions;
  std::vector<std::string> rpath;  ///< DT_RPATH's folders, one by one.
  std::vector<std::string> runpath;
};

struct ElfDamaged {
  std::string reason;  ///< "it is no ELF file"; to be read after the program's name.
};

/// Of a 64-bit little-endian ELF file; others are ElfDamaged with the reason.
std::variant<ElfFacts, ElfDamaged> read_elf(std::span<const std::byte> file);

/// "x86-64".
std::string machine_name(std::uint16_t machine);

}  // namespace achilles::worker
