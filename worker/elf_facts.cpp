#include "worker/elf_facts.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

namespace achilles::worker {
namespace {

/// More entries than any real file has; a hostile one may chain them in a ring.
constexpr std::size_t kEntriesMax = 1 << 14;
constexpr std::size_t kTextBytesMax = 4096;

using Sentence = const char*;  ///< Thrown only inside this file, where bytes turn out to be wrong.
constexpr Sentence kTruncated = "it is cut off: parts that its header names are missing";
constexpr Sentence kBadDynamic = "it is damaged: its dynamic section points outside the file";

class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file) {}

  std::span<const std::byte> range(std::uint64_t offset, std::uint64_t size, Sentence wrong) const {
    if (offset > file_.size() || size > file_.size() - offset) throw wrong;
    return file_.subspan(offset, size);
  }
  template <class T>
  T at(std::uint64_t offset, Sentence wrong) const {
    T value;
    std::memcpy(&value, range(offset, sizeof value, wrong).data(), sizeof value);
    return value;
  }
  std::uint64_t size() const { return file_.size(); }

 private:
  std::span<const std::byte> file_;
};

std::string text_at(std::span<const std::byte> texts, std::uint64_t offset) {
  if (offset >= texts.size()) throw kBadDynamic;
  const auto rest = texts.subspan(offset);
  const auto limit = std::min(rest.size(), kTextBytesMax);
  const auto* const begin = reinterpret_cast<const char*>(rest.data());
  const auto* const end = static_cast<const char*>(std::memchr(begin, 0, limit));
  if (!end) throw kBadDynamic;
  std::string text(begin, end);
  // These texts end in sentences that people read in a terminal.
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

std::vector<std::string> split_folders(const std::string& text) {
  std::vector<std::string> folders;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (end > begin) folders.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> file) : reader_(file) {}

  ElfFacts parse() {
    const auto header = read_header();
    std::optional<Elf64_Phdr> dynamic;
    for (std::uint16_t i = 0; i < header.e_phnum; ++i) {
      const std::uint64_t offset = header.e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr);
      if (offset < header.e_phoff) throw kTruncated;
      const auto segment = reader_.at<Elf64_Phdr>(offset, kTruncated);
      if (segment.p_type == PT_LOAD) {
        reader_.range(segment.p_offset, segment.p_filesz, kTruncated);
        loads_.push_back(segment);
      } else if (segment.p_type == PT_INTERP) {
        facts_.interpreter =
            text_at(reader_.range(segment.p_offset, segment.p_filesz, kTruncated), 0);
      } else if (segment.p_type == PT_DYNAMIC) {
        dynamic = segment;
      }
    }
    if (dynamic) read_dynamic(*dynamic);
    return std::move(facts_);
  }

 private:
  Elf64_Ehdr read_header() {
    constexpr Sentence no_elf = "it is no ELF file";
    const auto identity =
        reader_.range(0, std::min<std::uint64_t>(EI_NIDENT, reader_.size()), no_elf);
    if (identity.size() < EI_NIDENT || std::memcmp(identity.data(), ELFMAG, SELFMAG) != 0)
      throw no_elf;
    if (std::to_integer<int>(identity[EI_CLASS]) != ELFCLASS64) {
      throw Sentence{"it is a 32-bit program, achilles runs 64-bit ones"};
    }
    if (std::to_integer<int>(identity[EI_DATA]) != ELFDATA2LSB) {
      throw Sentence{"it is a big-endian program, achilles runs little-endian ones"};
    }
    const auto header = reader_.at<Elf64_Ehdr>(0, kTruncated);
    if (header.e_phnum > 0 && header.e_phentsize != sizeof(Elf64_Phdr)) {
      throw Sentence{"it is damaged: its program headers have an unknown size"};
    }
    facts_.type = header.e_type;
    facts_.machine = header.e_machine;
    return header;
  }

  /// Where an address of the running program lies in the file.
  std::uint64_t offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& load : loads_) {
      if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz) {
        return load.p_offset + (address - load.p_vaddr);
      }
    }
    throw kBadDynamic;
  }

  void read_dynamic(const Elf64_Phdr& segment) {
    std::map<std::int64_t, std::uint64_t> tags;
    std::vector<std::uint64_t> needed;
    const std::uint64_t count =
        std::min<std::uint64_t>(segment.p_filesz / sizeof(Elf64_Dyn), kEntriesMax);
    reader_.range(segment.p_offset, count * sizeof(Elf64_Dyn), kBadDynamic);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto entry =
          reader_.at<Elf64_Dyn>(segment.p_offset + i * sizeof(Elf64_Dyn), kBadDynamic);
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) needed.push_back(entry.d_un.d_val);
      tags[entry.d_tag] = entry.d_un.d_val;
    }
    if (!tags.contains(DT_STRTAB) || !tags.contains(DT_STRSZ)) {
      if (!needed.empty()) throw kBadDynamic;
      return;
    }
    texts_ = reader_.range(offset_of(tags[DT_STRTAB]), tags[DT_STRSZ], kBadDynamic);
    for (const std::uint64_t offset : needed) facts_.needed.push_back(text_at(texts_, offset));
    if (tags.contains(DT_RPATH)) facts_.rpath = split_folders(text_at(texts_, tags[DT_RPATH]));
    if (tags.contains(DT_RUNPATH))
      facts_.runpath = split_folders(text_at(texts_, tags[DT_RUNPATH]));
    if (tags.contains(DT_VERNEED)) read_needed_versions(tags[DT_VERNEED], tags[DT_VERNEEDNUM]);
    if (tags.contains(DT_VERDEF)) read_defined_versions(tags[DT_VERDEF], tags[DT_VERDEFNUM]);
  }

  void count_entry() {
    if (++entries_ > kEntriesMax) throw kBadDynamic;
  }

  void read_needed_versions(std::uint64_t address, std::uint64_t count) {
    std::uint64_t offset = offset_of(address);
    for (std::uint64_t i = 0; i < count; ++i) {
      count_entry();
      const auto need = reader_.at<Elf64_Verneed>(offset, kBadDynamic);
      ElfFacts::NeededVersions versions{text_at(texts_, need.vn_file), {}};
      std::uint64_t aux_offset = offset + need.vn_aux;
      for (std::uint16_t j = 0; j < need.vn_cnt; ++j) {
        count_entry();
        const auto aux = reader_.at<Elf64_Vernaux>(aux_offset, kBadDynamic);
        if (!(aux.vna_flags & VER_FLG_WEAK))
          versions.versions.push_back(text_at(texts_, aux.vna_name));
        if (aux.vna_next == 0) break;
        aux_offset += aux.vna_next;
      }
      facts_.needed_versions.push_back(std::move(versions));
      if (need.vn_next == 0) break;
      offset += need.vn_next;
    }
  }

  void read_defined_versions(std::uint64_t address, std::uint64_t count) {
    std::uint64_t offset = offset_of(address);
    for (std::uint64_t i = 0; i < count; ++i) {
      count_entry();
      const auto definition = reader_.at<Elf64_Verdef>(offset, kBadDynamic);
      if (definition.vd_cnt > 0) {  // The first name is its own, the others are its ancestors'.
        const auto aux = reader_.at<Elf64_Verdaux>(offset + definition.vd_aux, kBadDynamic);
        facts_.defined_versions.push_back(text_at(texts_, aux.vda_name));
      }
      if (definition.vd_next == 0) break;
      offset += definition.vd_next;
    }
  }

  Reader reader_;
  ElfFacts facts_;
  std::vector<Elf64_Phdr> loads_;
  std::span<const std::byte> texts_;
  std::size_t entries_ = 0;
};

}  // namespace

std::variant<ElfFacts, ElfDamaged> read_elf(std::span<const std::byte> file) {
  try {
    return Parser(file).parse();
  } catch (const Sentence& reason) {
    return ElfDamaged{reason};
  }
}

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC 64";
    case EM_S390:
      return "S/390";
    default:
      return "ELF machine " + std::to_string(machine);
  }
}

}  // namespace achilles::worker
