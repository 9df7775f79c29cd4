#include "tests/sim/heap_account.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace achilles::sim::heap_account {
namespace {

bool is_open = false;
std::int64_t live_bytes = 0;

}  // namespace

void open() {
  is_open = true;
}
void close() {
  is_open = false;
}
std::int64_t bytes() {
  return live_bytes;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

bool counts() {
  return false;
}

#else

bool counts() {
  return true;
}

namespace {

/// In front of each block; as large as a block's alignment.
struct alignas(std::max_align_t) Header {
  union {
    std::size_t granules;  ///< While it is in use.
    Header* next;          ///< While it is kept.
  };
  std::int64_t counted_bytes;
};

/// What malloc takes for a block of this size.
std::int64_t taken(std::size_t size) {
  const std::size_t with_own_word = (size + 8 + 15) / 16 * 16;
  return static_cast<std::int64_t>(with_own_word < 32 ? 32 : with_own_word);
}

/// Freed small blocks by their size in granules, kept for the next of that size: a world allocates
/// little else, some ten times a chunk.
constexpr std::size_t kGranule = sizeof(Header);
constexpr std::size_t kKeptGranules = 40;
Header* kept[kKeptGranules];

void* allocate(std::size_t size) {
  const std::size_t granules = (size + kGranule - 1) / kGranule;
  Header* header = nullptr;
  if (granules < kKeptGranules && kept[granules] != nullptr) {
    header = kept[granules];
    kept[granules] = header->next;
  } else {
    header = static_cast<Header*>(std::malloc(sizeof(Header) + granules * kGranule));
    if (header == nullptr) throw std::bad_alloc();
  }
  header->granules = granules;
  header->counted_bytes = is_open ? taken(size) : 0;
  live_bytes += header->counted_bytes;
  return header + 1;
}

void release(void* block) {
  if (block == nullptr) return;
  Header* header = static_cast<Header*>(block) - 1;
  live_bytes -= header->counted_bytes;
  if (header->granules >= kKeptGranules) return std::free(header);
  const std::size_t granules = header->granules;
  header->next = kept[granules];
  kept[granules] = header;
}

}  // namespace

#endif

}  // namespace achilles::sim::heap_account

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void* operator new(std::size_t size) {
  return achilles::sim::heap_account::allocate(size);
}
void operator delete(void* block) noexcept {
  achilles::sim::heap_account::release(block);
}
void operator delete(void* block, std::size_t) noexcept {
  achilles::sim::heap_account::release(block);
}

#endif
