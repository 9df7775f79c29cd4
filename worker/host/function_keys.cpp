#include "worker/host/function_keys.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <vector>

namespace achilles::host {
namespace {

constinit FunctionRecord* g_records = nullptr;

struct Segment {
  std::uint64_t begin = 0;  // Offsets from the load bias.
  std::uint64_t end = 0;
  bool executable = false;
};

/// The executable as it lies in memory: the first module that dl_iterate_phdr reports.
struct Executable {
  std::uint64_t bias = 0;
  std::vector<Segment> segments;

  bool contains(std::uint64_t offset, bool executable) const {
    return std::any_of(segments.begin(), segments.end(), [&](const Segment& s) {
      return offset >= s.begin && offset < s.end && (!executable || s.executable);
    });
  }
};

int take_first_module(dl_phdr_info* info, std::size_t, void* out) {
  auto& module = *static_cast<Executable*>(out);
  module.bias = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    module.segments.push_back(
        {header.p_vaddr, header.p_vaddr + header.p_memsz, (header.p_flags & PF_X) != 0});
  }
  return 1;
}

const Executable& executable() {
  static const Executable module = [] {
    Executable found;
    dl_iterate_phdr(take_first_module, &found);
    return found;
  }();
  return module;
}

std::uint64_t offset_of(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) - executable().bias;
}

}  // namespace

bool link_record(FunctionRecord& record) noexcept {
  record.next = g_records;
  g_records = &record;
  return true;
}

std::optional<protocol::FunctionKey> key_of(const FunctionRecord& record) {
  const auto offset = offset_of(&record);
  if (!executable().contains(offset, false)) return std::nullopt;
  return protocol::FunctionKey{0, offset};
}

const FunctionRecord* find_record(protocol::FunctionKey key) {
  if (key.module != 0) return nullptr;
  for (const auto* record = g_records; record != nullptr; record = record->next) {
    if (offset_of(record) == key.offset) return record;
  }
  return nullptr;
}

std::uint64_t table_hash() {
  // A sum over records does not depend on the order in which static initialisers ran.
  std::uint64_t total = 0;
  for (const auto* record = g_records; record != nullptr; record = record->next) {
    std::uint64_t hash = 0xCBF29CE484222325ULL ^ offset_of(record);
    for (const char c : record->label) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    total += hash;
  }
  return total;
}

std::optional<std::uint64_t> code_offset(const void* function) {
  const auto offset = offset_of(function);
  if (!executable().contains(offset, true)) return std::nullopt;
  return offset;
}

const void* code_at(std::uint64_t offset) {
  if (!executable().contains(offset, true)) return nullptr;
  return reinterpret_cast<const void*>(executable().bias + offset);  // NOLINT
}

}  // namespace achilles::host
