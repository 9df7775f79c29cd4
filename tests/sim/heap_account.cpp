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
  std::int64_t counted_bytes;
};

/// What malloc takes for a block of this size.
std::int64_t taken(std::size_t size) {
  const std::size_t with_own_word = (size + 8 + 15) / 16 * 16;
  return static_cast<std::int64_t>(with_own_word < 32 ? 32 : with_own_word);
}

void* allocate(std::size_t size) {
  auto* header = static_cast<Header*>(std::malloc(sizeof(Header) + size));
  if (header == nullptr) throw std::bad_alloc();
  header->counted_bytes = is_open ? taken(size) : 0;
  live_bytes += header->counted_bytes;
  return header + 1;
}

void release(void* block) {
  if (block == nullptr) return;
  Header* header = static_cast<Header*>(block) - 1;
  live_bytes -= header->counted_bytes;
  std::free(header);
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
