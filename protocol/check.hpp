// check: assertions that stay on in release builds, for our own mistakes only.
//
// What a peer sends is answered with a value, what a caller does wrong with an exception.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace achilles::protocol {

/// Ends the process with `sentence` unless `held`.
inline void check(bool held, const char* sentence) {
  if (held) [[likely]] {
    return;
  }
  std::fprintf(stderr, "achilles: internal error: %s Please report this.\n", sentence);
  std::abort();
}

}  // namespace achilles::protocol
