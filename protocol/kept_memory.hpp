// How much freed memory a process of ours keeps for itself.
//
// Payloads of a megabyte come and go. malloc gives such large pieces back to the system each time,
// which must then clear and map memory anew for the next one: with payloads of 1 MiB that was two
// thirds of all work. Broker, worker and task processes keep what they freed, within a bound. A
// user's program is left as it is.
#pragma once

#include <stdlib.h>

#include <cstddef>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace achilles::protocol {

/// Pieces of up to `largest` bytes are not given back when they are freed, up to `kept` bytes in
/// each of malloc's arenas. To be called before there are other threads. Does nothing where malloc
/// is not glibc's.
inline void keep_freed_memory([[maybe_unused]] std::size_t largest,
                              [[maybe_unused]] std::size_t kept) {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(largest));
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(kept));
#endif
}

/// What a daemon keeps: some parts of large payloads.
inline constexpr std::size_t kDaemonKeepsLargest = 4 << 20;
inline constexpr std::size_t kDaemonKeeps = 16 << 20;

}  // namespace achilles::protocol
