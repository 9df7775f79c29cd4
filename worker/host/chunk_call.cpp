#include "achilles/host/chunk_call.hpp"

#include <stdexcept>
#include <string>

namespace achilles::host {

void ChunkCall::throw_too_large() {
  throw std::length_error("the results of one chunk exceed " + std::to_string(kMaxBytes) +
                          " bytes: return less, or set a smaller chunksize");
}

}  // namespace achilles::host
