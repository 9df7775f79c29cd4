// AscendingMap: an ordered map for keys that mostly come in ascending order and go near the front.
//
// Chunks are queued, handed out and answered more or less in order, a million times a second. A
// tree pays for each with an allocation and a walk through cold memory; here entries lie side by
// side in a ring. An erased entry in the middle stays as a gap until the ends reach it, or until
// the ring is full and closes its gaps. Keys are found by interpolation: with items numbered one
// after another, which is usual, at the first look.
//
// Costs: adding at the ends, erasing and finding take constant time where keys are evenly spaced,
// and logarithmic otherwise; adding in the middle moves what is on the shorter side, up to the
// nearest gap at most.
//
// Invariants: keys ascend, those of gaps too; the first and the last entry are no gaps.
// Iterators and references are good until the next insertion or erasure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace achilles::protocol {

/// `Key` is an unsigned number, or has one called `value`.
template <class Key, class Value>
class AscendingMap {
 public:
  using Entry = std::pair<Key, Value>;

  template <bool kConst>
  class BasicIterator {
   public:
    using Map = std::conditional_t<kConst, const AscendingMap, AscendingMap>;
    using iterator_category = std::bidirectional_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Entry;
    using reference = std::conditional_t<kConst, const Entry&, Entry&>;
    using pointer = std::conditional_t<kConst, const Entry*, Entry*>;

    BasicIterator() = default;
    BasicIterator(Map& map, std::size_t place) : map_(&map), place_(place) {}
    operator BasicIterator<true>() const { return {*map_, place_}; }

    reference operator*() const { return map_->slot(place_).entry; }
    pointer operator->() const { return &map_->slot(place_).entry; }
    BasicIterator& operator++() {
      while (!map_->ends_at(++place_) && !map_->slot(place_).alive) {
      }
      return *this;
    }
    BasicIterator& operator--() {
      while (!map_->slot(--place_).alive) {
      }
      return *this;
    }
    BasicIterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    BasicIterator operator--(int) {
      auto before = *this;
      --*this;
      return before;
    }
    bool operator==(const BasicIterator& other) const { return place_ == other.place_; }

   private:
    friend class AscendingMap;
    Map* map_ = nullptr;
    std::size_t place_ = 0;
  };
  using iterator = BasicIterator<false>;
  using const_iterator = BasicIterator<true>;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  AscendingMap() = default;
  AscendingMap(const AscendingMap&) = default;
  AscendingMap& operator=(const AscendingMap&) = default;
  AscendingMap(AscendingMap&& other) noexcept { swap(other); }
  AscendingMap& operator=(AscendingMap&& other) noexcept {
    AscendingMap taken(std::move(other));
    swap(taken);
    return *this;
  }

  std::size_t size() const { return alive_; }
  bool empty() const { return alive_ == 0; }
  iterator begin() { return {*this, 0}; }
  iterator end() { return {*this, used_}; }
  const_iterator begin() const { return {*this, 0}; }
  const_iterator end() const { return {*this, used_}; }
  reverse_iterator rbegin() { return reverse_iterator(end()); }
  reverse_iterator rend() { return reverse_iterator(begin()); }
  const_reverse_iterator rbegin() const { return const_reverse_iterator(end()); }
  const_reverse_iterator rend() const { return const_reverse_iterator(begin()); }

  iterator find(Key key) { return {*this, find_place(key)}; }
  const_iterator find(Key key) const { return {*this, find_place(key)}; }
  bool contains(Key key) const { return find_place(key) != used_; }
  /// The first entry whose key is not less.
  iterator lower_bound(Key key) { return {*this, alive_from(lower_place(number(key)))}; }
  const_iterator lower_bound(Key key) const {
    return {*this, alive_from(lower_place(number(key)))};
  }
  /// The first entry whose key is greater.
  const_iterator upper_bound(Key key) const { return {*this, upper_place(key)}; }
  iterator upper_bound(Key key) { return {*this, upper_place(key)}; }
  /// Throws std::out_of_range.
  const Value& at(Key key) const {
    const std::size_t place = find_place(key);
    if (place == used_) throw std::out_of_range("AscendingMap: there is no such key");
    return slot(place).entry.second;
  }

  /// As std::map's: false and the entry that is there when the key is taken.
  std::pair<iterator, bool> emplace(Key key, Value value) {
    std::size_t place = lower_place(number(key));
    const bool same = place < used_ && number(slot(place).entry.first) == number(key);
    if (same && slot(place).alive) return {iterator(*this, place), false};
    if (!same) place = open_place(place);
    slot(place) = {{key, std::move(value)}, true};
    ++alive_;
    return {iterator(*this, place), true};
  }
  std::size_t erase(Key key) {
    const std::size_t place = find_place(key);
    if (place == used_) return 0;
    erase_place(place);
    return 1;
  }
  /// The key's value, which is erased. REQUIRES: it is there.
  Value take(Key key) {
    const std::size_t place = find_place(key);
    Value value = std::move(slot(place).entry.second);
    erase_place(place);
    return value;
  }
  void clear() { AscendingMap().swap(*this); }
  void swap(AscendingMap& other) noexcept {
    ring_.swap(other.ring_);
    std::swap(head_, other.head_);
    std::swap(used_, other.used_);
    std::swap(alive_, other.alive_);
  }

 private:
  struct Slot {
    Entry entry;
    bool alive = false;
  };
  static constexpr std::size_t kCapacityMin = 8;

  static std::uint64_t number(Key key) {
    if constexpr (std::is_integral_v<Key>) {
      return key;
    } else {
      return key.value;
    }
  }
  // Places count from the first entry on, gaps included.
  Slot& slot(std::size_t place) { return ring_[(head_ + place) & (ring_.size() - 1)]; }
  const Slot& slot(std::size_t place) const { return ring_[(head_ + place) & (ring_.size() - 1)]; }
  std::uint64_t number_at(std::size_t place) const { return number(slot(place).entry.first); }
  bool ends_at(std::size_t place) const { return place >= used_; }

  std::size_t alive_from(std::size_t place) const {
    while (place < used_ && !slot(place).alive) ++place;
    return place;
  }
  std::size_t upper_place(Key key) const {
    std::size_t place = lower_place(number(key));
    if (place < used_ && number(slot(place).entry.first) == number(key)) ++place;
    return alive_from(place);
  }
  std::size_t find_place(Key key) const {
    const std::size_t place = lower_place(number(key));
    const bool there = place < used_ && slot(place).alive && number_at(place) == number(key);
    return there ? place : used_;
  }

  /// The first place, of a gap perhaps, whose key is not less; used_ when there is none.
  std::size_t lower_place(std::uint64_t wanted) const {
    if (used_ == 0 || wanted <= number_at(0)) return 0;
    const std::uint64_t last = number_at(used_ - 1);
    if (wanted >= last) return wanted == last ? used_ - 1 : used_;
    // Strictly between the first and the last: where it would be, were keys evenly spaced.
    const double share =
        static_cast<double>(wanted - number_at(0)) / static_cast<double>(last - number_at(0));
    const auto guess = static_cast<std::size_t>(share * static_cast<double>(used_ - 1) + 0.5);
    std::size_t low = 1;  // The answer is in [low, high].
    std::size_t high = used_ - 1;
    const std::uint64_t guessed = number_at(guess);
    if (guessed == wanted) return guess;
    (guessed < wanted ? low : high) = guessed < wanted ? guess + 1 : guess;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      (number_at(middle) < wanted ? low : high) = number_at(middle) < wanted ? middle + 1 : middle;
    }
    return low;
  }

  /// Makes a place for a key that is less than what is at `place`, and greater than what is before
  /// it. Answers where it is; it is a gap without an order of its own.
  std::size_t open_place(std::size_t place) {
    if (place > 0 && !slot(place - 1).alive) return place - 1;
    if (place < used_ && !slot(place).alive) return place;
    if (used_ == ring_.size()) place = make_room(place);
    ++used_;
    if (place <= (used_ - 1) / 2) {
      head_ = (head_ - 1) & (ring_.size() - 1);
      for (std::size_t i = 0; i < place; ++i) slot(i) = std::move(slot(i + 1));
    } else {
      for (std::size_t i = used_ - 1; i > place; --i) slot(i) = std::move(slot(i - 1));
    }
    return place;
  }

  /// Closes the gaps where that makes much room. Otherwise the ring gets twice the size, and the
  /// gaps stay, so that keys that were evenly spaced still are. Answers where what was at `place`
  /// is now.
  std::size_t make_room(std::size_t place) {
    const bool crowded = alive_ * 8 >= ring_.size();
    std::vector<Slot> wider(std::max(kCapacityMin, crowded ? ring_.size() * 2 : ring_.size()));
    std::size_t moved = 0;
    std::size_t now_at = 0;
    for (std::size_t i = 0; i < used_; ++i) {
      if (i == place) now_at = moved;
      if (crowded || slot(i).alive) wider[moved++] = std::move(slot(i));
    }
    if (place == used_) now_at = moved;
    ring_ = std::move(wider);
    head_ = 0;
    used_ = moved;
    return now_at;
  }

  void erase_place(std::size_t place) {
    slot(place).entry.second = Value{};
    slot(place).alive = false;
    --alive_;
    while (used_ > 0 && !slot(used_ - 1).alive) --used_;
    while (used_ > 0 && !slot(0).alive) {
      head_ = (head_ + 1) & (ring_.size() - 1);
      --used_;
    }
  }

  std::vector<Slot> ring_;  // Its size is a power of two, or nothing.
  std::size_t head_ = 0;
  std::size_t used_ = 0;   // Entries and the gaps among them.
  std::size_t alive_ = 0;  // Entries.
};

/// The same, of keys alone.
template <class Key>
class AscendingSet {
  using Map = AscendingMap<Key, std::monostate>;

 public:
  class Iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Key;
    using reference = const Key&;
    using pointer = const Key*;

    Iterator() = default;
    explicit Iterator(typename Map::const_iterator at) : at_(at) {}
    reference operator*() const { return at_->first; }
    pointer operator->() const { return &at_->first; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator& operator--() {
      --at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    Iterator operator--(int) { return Iterator(at_--); }
    bool operator==(const Iterator&) const = default;

   private:
    typename Map::const_iterator at_;
  };
  using iterator = Iterator;
  using const_iterator = Iterator;

  std::size_t size() const { return map_.size(); }
  bool empty() const { return map_.empty(); }
  Iterator begin() const { return Iterator(map_.begin()); }
  Iterator end() const { return Iterator(map_.end()); }
  auto rbegin() const { return std::reverse_iterator(end()); }
  auto rend() const { return std::reverse_iterator(begin()); }
  bool contains(Key key) const { return map_.contains(key); }
  /// False: it was there.
  bool insert(Key key) { return map_.emplace(key, {}).second; }
  std::size_t erase(Key key) { return map_.erase(key); }
  void clear() { map_.clear(); }

 private:
  Map map_;
};

}  // namespace achilles::protocol
