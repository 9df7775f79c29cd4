#include "bench/workload.hpp"

#include <stdexcept>

namespace achilles::bench {

std::vector<Workload> all_workloads() {
  return {tiny_tasks(),    tiny_items(),   one_call(),   payloads(),  skewed_tasks(),
          slow_consumer(), first_result(), small_jobs(), idle_pool(), many_workers()};
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("wrong result: " + what);
}

}  // namespace achilles::bench
