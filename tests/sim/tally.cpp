#include "tests/sim/tally.hpp"

#include <cstdio>

namespace achilles::sim {
namespace {

std::string line(const char* what, std::uint64_t value, const std::string& more = {}) {
  char text[64];
  std::snprintf(text, sizeof text, "%-16s %12llu", what, static_cast<unsigned long long>(value));
  return text + (more.empty() ? more : "  " + more) + "\n";
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  worlds += other.worlds;
  virtual_time += other.virtual_time;
  broker_turns += other.broker_turns;
  steps += other.steps;
  checks += other.checks;
  messages += other.messages;
  coded_messages += other.coded_messages;
  runs += other.runs;
  item_runs += other.item_runs;
  repeated_item_runs += other.repeated_item_runs;
  second_attempts += other.second_attempts;
  recalled_chunks += other.recalled_chunks;
  taken_back += other.taken_back;
  deaths += other.deaths;
  delivered_chunks += other.delivered_chunks;
  delivered_items += other.delivered_items;
  condemned_items += other.condemned_items;
  failed_jobs += other.failed_jobs;
  impatient_drains += other.impatient_drains;
  for (std::size_t i = 0; i < kFaultKinds; ++i) faults[i] += other.faults[i];
  return *this;
}

std::string Tally::describe() const {
  std::string text;
  text += line("worlds", worlds);
  text +=
      line("virtual seconds", static_cast<std::uint64_t>(virtual_time / std::chrono::seconds(1)));
  text += line("chunks", delivered_chunks, "delivered");
  text += line("items", delivered_items, "delivered");
  text += line("chunk runs", runs);
  text += line("item runs", item_runs,
               std::to_string(repeated_item_runs) + " of them again, " + std::to_string(deaths) +
                   " ended by a task process's death");
  text += line("second attempts", second_attempts,
               "at chunks; " + std::to_string(recalled_chunks) + " chunks were asked back, " +
                   std::to_string(taken_back) + " task processes relieved");
  text += line("messages", messages, std::to_string(coded_messages) + " through the codec");
  text += line("steps", steps,
               std::to_string(checks) + " with all tables checked; " +
                   std::to_string(broker_turns) + " turns of brokers");
  std::string kinds;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    count += faults[i];
    if (faults[i] == 0) continue;
    kinds += (kinds.empty() ? "" : ", ") + std::string(name_of(static_cast<FaultKind>(i))) + " " +
             std::to_string(faults[i]);
  }
  text += line("faults", count, kinds);
  if (condemned_items > 0 || failed_jobs > 0) {
    text += line("victims", condemned_items,
                 "innocent items failed; " + std::to_string(failed_jobs) + " jobs were refused");
  }
  if (impatient_drains > 0) {
    text += line("endless drains", impatient_drains, "workers were told again after 30 s to end");
  }
  return text;
}

}  // namespace achilles::sim
