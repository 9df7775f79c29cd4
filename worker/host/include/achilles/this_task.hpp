// achilles::this_task: what a function may ask about the call it is in.
//
// Inside a task process, on the thread that runs the function. Elsewhere there is no task: active()
// is empty and the other functions throw std::logic_error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace achilles::this_task {

/// True inside a function that a Pool called.
bool active() noexcept;
/// The item's position in the job's input: a seed for random numbers, for one.
std::uint64_t index();
/// Differs between executions of the same item.
std::uint64_t attempt();
/// The worker's name: the machine's, unless its user gave another.
const std::string& worker();
/// The worker's lane, from 0.
std::uint32_t slot();

}  // namespace achilles::this_task
