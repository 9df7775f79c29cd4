// IdTable: entries by their ids, walked in the order of these, and found without a walk.
//
// A broker with ten thousand workers looks several of them up for each chunk. In a tree alone that
// is a dozen steps through cold memory each time; the index beside it takes one.
//
// Entries stay where they are until they are removed.
// Invariants: the index leads to each entry, and to nothing else.
#pragma once

#include <cstddef>
#include <map>
#include <unordered_map>

namespace achilles::broker {

template <class Id, class Entry>
class IdTable {
 public:
  Entry* find(Id id) {
    const auto at = index_.find(id);
    return at == index_.end() ? nullptr : at->second;
  }
  const Entry* find(Id id) const {
    const auto at = index_.find(id);
    return at == index_.end() ? nullptr : at->second;
  }
  /// The entry; a new one, as it is by default, when it was not there.
  Entry& get(Id id) {
    Entry*& entry = index_[id];
    if (entry == nullptr) entry = &entries_[id];
    return *entry;
  }
  void remove(Id id) {
    index_.erase(id);
    entries_.erase(id);
  }

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  auto begin() { return entries_.begin(); }
  auto begin() const { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto end() const { return entries_.end(); }

 private:
  std::map<Id, Entry> entries_;
  std::unordered_map<Id, Entry*> index_;
};

}  // namespace achilles::broker
