// Workload: something that is measured, and the places where it runs.
//
// A workload does its work once each time it is called, checks every result, and answers what it
// measured. It is called in several rounds, in turns with all others, so that a machine that is
// slow for a while is slow for all.
//
// Thread ownership: one thread runs workloads, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "achilles/pool.hpp"

namespace achilles::bench {

/// Where a Pool's task processes are.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::string name() const = 0;
  /// A new Pool whose task processes are warm after its first call.
  virtual Pool pool() const = 0;
  /// What a program finds in its environment there; empty: nothing.
  virtual std::map<std::string, std::string> environment() const = 0;
};

struct Settings {
  std::uint32_t slots = 2;
  /// Small sizes: shows that all works, says little about speed.
  bool quick = false;

  std::uint64_t size(std::uint64_t full, std::uint64_t quick_size) const {
    return quick ? quick_size : full;
  }
};

/// One round of one workload: its value in the workload's unit, and what else is worth a look.
struct Sample {
  double value = 0;
  std::map<std::string, double> more = {};
};

struct Workload {
  std::string name;
  std::string title;
  std::string unit;
  bool higher_is_better = true;
  /// Does it have to do with where task processes are?
  bool placed = true;
  std::function<Sample(const Place&, const Settings&)> run;
};

/// W1 … W10, in that order.
std::vector<Workload> all_workloads();

Workload tiny_tasks();
Workload tiny_items();
Workload one_call();
Workload payloads();
Workload skewed_tasks();
Workload slow_consumer();
Workload first_result();
Workload small_jobs();
Workload idle_pool();
Workload many_workers();

/// Throws std::runtime_error: a benchmark that computes something else measures nothing.
void expect(bool holds, const std::string& what);

}  // namespace achilles::bench
