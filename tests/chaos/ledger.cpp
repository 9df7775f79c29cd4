#include "tests/chaos/ledger.hpp"

#include <algorithm>

#include "tests/chaos/mixed.hpp"

namespace achilles::tests {

std::uint64_t checksum_of(std::uint64_t index, std::uint64_t value) {
  return mixed(index, value, 1);
}

void Ledger::fail(std::uint64_t index, const std::string& what) const {
  throw Violation("job " + std::to_string(job_) + ", item " + std::to_string(index) + ": " + what +
                  " (" + std::to_string(items_) + " items came before)");
}

void Ledger::note_index(std::uint64_t index) {
  if (ordered_ && index != items_) fail(index, "came out of order");
  if (index >= seen_.size()) seen_.resize(index + 1);
  if (seen_[index]) fail(index, "came twice");
  seen_[index] = true;
  ++items_;
}

void Ledger::note_value(std::uint64_t index, const Outcome& outcome) {
  note_index(index);
  const Item item{seed_, job_, static_cast<std::uint8_t>(mixture_), index, {}};
  if (nature_of(seed_, job_, mixture_, index).fate != Fate::kValue) {
    fail(index, "has a value, but is meant to fail");
  }
  if (const auto flaw = flaw_in(outcome, item)) fail(index, "its result " + *flaw);
  checksum_ += checksum_of(index, outcome.value);
}

void Ledger::note_error(std::uint64_t index, const RemoteError& error) {
  note_index(index);
  ++errors_;
  if (error.index() != index) fail(index, "has the error of another: " + std::string(error.what()));
  const Fate fate = nature_of(seed_, job_, mixture_, index).fate;
  if (const auto* crash = dynamic_cast<const TaskCrashed*>(&error)) {
    if (mixture_ != Mixture::kDeadly)
      fail(index, "may not crash so soon: " + std::string(error.what()));
    crashes_.push_back({index, crash->attempts()});
    if (fate == Fate::kValue) checksum_ += checksum_of(index, value_of(seed_, job_, index));
    return;
  }
  if (fate != Fate::kThrows)
    fail(index, "failed without being meant to: " + std::string(error.what()));
  if (error.message() != complaint_of(index)) fail(index, "says " + error.message());
}

void Ledger::finish(std::uint64_t count) const {
  const auto missing = std::find(seen_.begin(), seen_.end(), false);
  if (items_ != count || missing != seen_.end()) {
    fail(static_cast<std::uint64_t>(missing - seen_.begin()), "never came: the job ended with " +
                                                                  std::to_string(items_) + " of " +
                                                                  std::to_string(count) + " items");
  }
  std::uint64_t serial = 0;
  for (std::uint64_t index = 0; index < count; ++index) {
    if (nature_of(seed_, job_, mixture_, index).fate != Fate::kValue) continue;
    serial += checksum_of(index, value_of(seed_, job_, index));
  }
  if (serial != checksum_) fail(count, "the checksum is not that of a serial run");
}

}  // namespace achilles::tests
