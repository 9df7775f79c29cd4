#include "client/capture_check.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "achilles/error.hpp"

// What AddressSanitizer tells of itself, and what shows that ThreadSanitizer is here; absent from a
// program without them, whatever this library was built with.
// https://github.com/llvm/llvm-project, compiler-rt/lib/asan/asan_interface_internal.h,
// compiler-rt/lib/tsan/rtl/tsan_interface.h
extern "C" void __asan_get_shadow_mapping(std::size_t* scale, std::size_t* offset)  // NOLINT
    __attribute__((weak));
extern "C" void __tsan_init() __attribute__((weak));  // NOLINT

namespace achilles::client {
namespace {

/// Below lies what no system maps, above what no user process may.
constexpr std::uint64_t kLowestAddress = 1ULL << 16;
constexpr std::uint64_t kHighestAddress = 1ULL << 47;

#ifdef __x86_64__
/// ThreadSanitizer leaves a program what lies below and above
/// (compiler-rt/lib/tsan/rtl/tsan_platform.h): half a terabyte, and where executables are loaded.
constexpr std::uint64_t kThreadShadowBegin = 0x0080'0000'0000;
constexpr std::uint64_t kThreadShadowEnd = 0x5500'0000'0000;
#else
constexpr std::uint64_t kThreadShadowBegin = 0;
constexpr std::uint64_t kThreadShadowEnd = 0;
#endif

/// The sanitizers map terabytes for their own records, AddressSanitizer from 2 GiB on: small
/// numbers, as in the array {8, 9, 10}, or a time in milliseconds, would look like pointers there.
bool is_shadow(std::uint64_t address) {
  if (__tsan_init != nullptr && address >= kThreadShadowBegin && address < kThreadShadowEnd) {
    return true;
  }
  if (__asan_get_shadow_mapping == nullptr) return false;
  std::size_t scale = 0;
  std::size_t offset = 0;
  __asan_get_shadow_mapping(&scale, &offset);
  return address >= offset && address < offset + (kHighestAddress >> scale);
}

bool is_mapped(std::uint64_t address) {
  if (address < kLowestAddress || address >= kHighestAddress || is_shadow(address)) return false;
  const auto page_size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  void* page = reinterpret_cast<void*>(address & ~(page_size - 1));  // NOLINT
  return mincore(page, 1, &resident) == 0 || errno != ENOMEM;
}

}  // namespace

void check_captures(std::span<const std::byte> captured, const std::string& function) {
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= captured.size();
       at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, captured.data() + at, sizeof word);
    if (!is_mapped(word)) continue;
    throw NotShippable("achilles cannot send " + function + ": byte " + std::to_string(at) +
                       " of its captures is a pointer into this process (this, a string_view, a "
                       "span, a const char*, an iterator, a function pointer?); bind the values "
                       "themselves with achilles::bind(f, values...), "
                       "or, if it is a number "
                       "that only looks like a pointer, set .check_captures = false");
  }
}

}  // namespace achilles::client
