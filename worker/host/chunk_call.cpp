#include "achilles/host/chunk_call.hpp"

#include <stdexcept>
#include <string>

namespace achilles::host {

void ChunkCall::throw_too_large() const {
  const std::uint64_t bytes = results_.open_bytes();
  const std::string limit = "at most " + std::to_string(results_bytes_max_) + " can be sent";
  if (bytes <= results_bytes_max_) {
    throw std::length_error("its chunk's results take " + std::to_string(results_.bytes()) +
                            " bytes together, " + limit + "; set a smaller chunksize");
  }
  throw std::length_error("it takes " + std::to_string(bytes) + " bytes, " + limit +
                          "; return less, write it to a file, or start the broker with a larger "
                          "--max-payload-mib (1024 at most)");
}

}  // namespace achilles::host
