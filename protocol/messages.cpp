#include "protocol/messages.hpp"

namespace achilles::protocol {

std::uint64_t credit_cost(const ChunkResult& result) {
  std::uint64_t cost = kResultOverheadBytes + result.items.bytes() +
                       result.items.layout.sizes.size() * sizeof(std::uint32_t);
  for (const auto& [index, error] : result.errors) {
    cost += kResultOverheadBytes + error.detail.size() + error.stderr_tail.size();
    for (const auto& death : error.deaths) cost += death.size();
    for (const auto& cause : error.causes) cost += cause.type.size() + cause.what.size();
  }
  return cost;
}

}  // namespace achilles::protocol
