// Heap bytes on one account: what was allocated while it was open and is not freed yet, whoever
// frees it. One thread. Replaces operator new and delete of the program that links it, except with
// sanitizers, which have their own: then nothing is counted.
#pragma once

#include <cstdint>

namespace achilles::sim::heap_account {

void open();
void close();
/// As malloc rounds sizes up.
std::int64_t bytes();
bool counts();

}  // namespace achilles::sim::heap_account
