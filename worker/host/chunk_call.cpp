#include "achilles/host/chunk_call.hpp"

#include <stdexcept>
#include <string>

#include "protocol/limits.hpp"

namespace achilles::host {

void ChunkCall::throw_too_large() const {
  const std::uint64_t bytes = results_.open_bytes();
  const std::string limit = "at most " + std::to_string(results_bytes_max_) + " can be sent";
  if (bytes <= results_bytes_max_) {
    throw std::length_error("its chunk's results take " + std::to_string(results_.bytes()) +
                            " bytes together, " + limit + "; set a smaller chunksize");
  }
  const bool may_grow = results_bytes_max_ < protocol::kMaxPayloadBytes;
  throw std::length_error(
      "it takes " + std::to_string(bytes) + " bytes, " + limit +
      "; return less, or write it to a file" +
      (may_grow ? ", or start the broker with a larger --max-payload-mib" : ""));
}

}  // namespace achilles::host
