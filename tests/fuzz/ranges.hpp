// Runs of items that do not overlap.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

#include "protocol/ids.hpp"

namespace achilles::fuzz {

class Ranges {
 public:
  /// Whether [first, first + count) is new; then it is added.
  bool add(protocol::ItemIndex first, std::uint64_t count) {
    const auto next = ends_.lower_bound(first);
    if (next != ends_.end() && next->first - first < count) return false;
    if (next != ends_.begin() && std::prev(next)->second > first) return false;
    ends_[first] = first + count;
    return true;
  }

 private:
  std::map<protocol::ItemIndex, protocol::ItemIndex> ends_;
};

}  // namespace achilles::fuzz
