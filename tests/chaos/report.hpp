// What a chaos run says at its end.
//
// Pure.
#pragma once

#include <string>

#include "tests/chaos/round.hpp"

namespace achilles::tests {

/// "seed 7, netns, 3 workers x 2 slots, 2 clients, heartbeat 250 ms"
std::string title_of(const WorldOptions& world);
/// Adds a round's numbers to those of the rounds before.
void add(RoundReport& sum, const RoundReport& round);
/// Faults by kind, items, executions, memory, waits.
std::string to_string(const RoundReport& report);

}  // namespace achilles::tests
