// The places where workloads run: inside this process, or over a broker and a worker on loopback.
//
// Thread ownership: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/workload.hpp"

namespace achilles::bench {

/// "embedded" and "tcp".
const std::vector<std::string>& place_names();
/// Starts what the place needs; the destructor ends it. Throws std::runtime_error naming what did
/// not start.
std::unique_ptr<Place> make_place(const std::string& name, std::uint32_t slots);

}  // namespace achilles::bench
