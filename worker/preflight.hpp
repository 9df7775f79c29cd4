// Preflight: can this executable run on this machine? Asked before the first exec, so that what is
// missing is one sentence instead of a loader's complaint from every slot.
//
// Reads the file's own tables: the loader's --list and --verify answer 0 when a version is missing.
// Total on any bytes. Touches the file system (the libraries' folders), so it runs beside the loop.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace achilles::worker {

/// Why the ELF file cannot run here, or nothing: "it needs GLIBCXX_3.4.31 from libstdc++.so.6,
/// which has up to GLIBCXX_3.4.30 here". To be read after the program's name.
std::optional<std::string> preflight(std::span<const std::byte> elf);
/// The same with libraries looked for in `folders`, in their order, instead of this machine's.
std::optional<std::string> preflight(std::span<const std::byte> elf,
                                     std::span<const std::string> folders);

/// Where this machine's loader looks: $LD_LIBRARY_PATH, /etc/ld.so.conf and what it includes, the
/// folders every loader knows.
std::vector<std::string> system_library_folders();

/// The libraries that the executable names, and the folders that it wants them looked for in
/// (DT_RPATH or DT_RUNPATH). Both empty for what is no ELF file.
std::vector<std::string> needed_libraries(std::span<const std::byte> elf);
std::vector<std::string> wanted_library_folders(std::span<const std::byte> elf);

}  // namespace achilles::worker
