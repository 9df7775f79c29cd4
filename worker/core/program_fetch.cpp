#include "worker/core/program_fetch.hpp"

#include <algorithm>
#include <utility>

#include "protocol/limits.hpp"

namespace achilles::worker {

using protocol::kPartBytes;

std::string ProgramFetch::misfit_of(const protocol::ProgramPart& part) const {
  const auto sentence = [&](const std::string& what) {
    return "Program " + protocol::to_string(program_) + " could not be fetched: " + what +
           " (offset " + std::to_string(part.offset) + ", " + std::to_string(part.bytes.size()) +
           " bytes, of " + std::to_string(part.total_bytes) +
           "); check that client and broker run the same version of achilles.";
  };
  if (part.total_bytes == 0) return sentence("it was sent as empty");
  if (part.total_bytes > protocol::kMaxProgramBytes) {
    return sentence("it is larger than the limit of " + std::to_string(protocol::kMaxProgramBytes) +
                    " bytes");
  }
  if (total_bytes_ && *total_bytes_ != part.total_bytes) {
    return sentence("its size changed from " + std::to_string(*total_bytes_) +
                    " bytes while it was sent");
  }
  if (part.offset >= part.total_bytes ||
      part.bytes.size() != std::min<std::uint64_t>(kPartBytes, part.total_bytes - part.offset)) {
    return sentence("one of its parts has a wrong size");
  }
  return {};
}

ProgramFetch::Taken ProgramFetch::take(protocol::ProgramPart part) {
  Taken taken;
  const auto asked = asked_.find(part.offset);
  if (asked == asked_.end()) return taken;
  taken.misfit = misfit_of(part);
  if (!taken.misfit.empty()) return taken;
  asked_.erase(asked);
  total_bytes_ = part.total_bytes;
  early_.emplace(part.offset, std::move(part));
  while (!early_.empty() && early_.begin()->first == next_to_store_) {
    next_to_store_ += early_.begin()->second.bytes.size();
    taken.in_order.push_back(std::move(early_.begin()->second));
    early_.erase(early_.begin());
  }
  taken.complete = next_to_store_ == *total_bytes_;
  return taken;
}

std::vector<protocol::NeedProgram> ProgramFetch::ask(protocol::TimePoint now) {
  std::vector<protocol::NeedProgram> needs;
  for (auto& [offset, when] : asked_) {
    if (now - when < kAskAgainAfter) continue;
    when = now;
    needs.push_back({program_, offset});
  }
  // Until the first part tells the size, asking for more could reach behind the end.
  const std::uint64_t end = total_bytes_
                                ? std::min(*total_bytes_, next_to_store_ + kPartsAhead * kPartBytes)
                                : kPartBytes;
  for (; next_to_ask_ < end; next_to_ask_ += kPartBytes) {
    asked_.emplace(next_to_ask_, now);
    needs.push_back({program_, next_to_ask_});
  }
  return needs;
}

std::optional<protocol::TimePoint> ProgramFetch::deadline() const {
  std::optional<protocol::TimePoint> earliest;
  for (const auto& [offset, when] : asked_) {
    if (!earliest || when + kAskAgainAfter < *earliest) earliest = when + kAskAgainAfter;
  }
  return earliest;
}

void ProgramFetch::extend(protocol::Duration gap) {
  for (auto& [offset, when] : asked_) when += gap;
}

}  // namespace achilles::worker
