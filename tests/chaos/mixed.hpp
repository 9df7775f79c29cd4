// Numbers that look random and follow from other numbers.
//
// Pure.
#pragma once

#include <cstdint>

namespace achilles::tests {

constexpr std::uint64_t stirred(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// 64 bits, the same for the same arguments.
constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  return stirred(stirred(stirred(a + 0x9e3779b97f4a7c15ULL) + b) + c);
}

}  // namespace achilles::tests
