// How encoded items lie one after another, on the wire and in memory.
//
// The layout travels beside the payload, so that a chunk can be cut in two by someone who cannot
// read the values. A run of items of one size (numbers, for one) needs only that size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

namespace achilles::protocol {

/// Sizes of `count` consecutive encoded items.
/// Invariant: `sizes` is empty (every item has `stride` bytes) or has `count` entries (and stride
/// is 0).
struct ItemLayout {
  std::uint64_t count = 0;
  std::uint32_t stride = 0;
  std::vector<std::uint32_t> sizes;

  bool uniform() const { return sizes.empty(); }
  std::uint64_t size_of(std::uint64_t position) const {
    return uniform() ? stride : sizes[position];
  }
  /// Bytes taken by the first `items` items. REQUIRES: items <= count.
  std::uint64_t bytes_before(std::uint64_t items) const {
    if (uniform()) return items * stride;
    std::uint64_t total = 0;
    for (std::uint64_t i = 0; i < items; ++i) total += sizes[i];
    return total;
  }
  std::uint64_t total_bytes() const { return bytes_before(count); }

  bool operator==(const ItemLayout&) const = default;
};

/// Items encoded one after another into one buffer.
class ItemBuilder {
 public:
  /// Where the next item's bytes go: append to it, then call end_item().
  std::vector<std::byte>& buffer() { return buffer_; }
  /// The bytes appended since the previous end_item() are one item. Must be at most 4 GiB.
  void end_item() {
    note_size(static_cast<std::uint32_t>(buffer_.size() - item_start_));
    item_start_ = buffer_.size();
  }
  /// The bytes appended since the previous end_item().
  std::uint64_t open_bytes() const { return buffer_.size() - item_start_; }
  /// Forgets the bytes appended since the previous end_item(): their encoding failed half-way.
  void abandon_item() { buffer_.resize(item_start_); }
  void append(std::span<const std::byte> item) {
    buffer_.insert(buffer_.end(), item.begin(), item.end());
    end_item();
  }
  /// `count` items of `stride` bytes each, already one after another: the fast way for numbers.
  void append_block(std::span<const std::byte> block, std::uint32_t stride, std::uint64_t count) {
    buffer_.insert(buffer_.end(), block.begin(), block.end());
    item_start_ = buffer_.size();
    if (layout_.count == 0) layout_.stride = stride;
    if (layout_.uniform() && layout_.stride == stride) {
      layout_.count += count;
    } else {
      for (std::uint64_t i = 0; i < count; ++i) note_size(stride);
    }
  }

  std::uint64_t count() const { return layout_.count; }
  std::uint64_t bytes() const { return buffer_.size(); }
  bool empty() const { return layout_.count == 0; }

  /// Hands over all items and starts anew. The bytes of an item that is not ended yet stay.
  std::pair<ItemLayout, std::vector<std::byte>> take() {
    std::vector<std::byte> items;
    if (open_bytes() == 0) {
      items = std::exchange(buffer_, {});
    } else {
      // What stays is the large one.
      const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(item_start_);
      items.assign(buffer_.begin(), end);
      buffer_.erase(buffer_.begin(), end);
    }
    item_start_ = 0;
    return {std::exchange(layout_, {}), std::move(items)};
  }

 private:
  void note_size(std::uint32_t size) {
    if (layout_.count == 0) {
      layout_.stride = size;
    } else if (layout_.uniform() && layout_.stride != size) {
      layout_.sizes.assign(layout_.count, layout_.stride);
      layout_.stride = 0;
    }
    if (!layout_.uniform()) layout_.sizes.push_back(size);
    ++layout_.count;
  }

  ItemLayout layout_;
  std::vector<std::byte> buffer_;
  std::size_t item_start_ = 0;
};

/// Walks over encoded items. REQUIRES: payload.size() == layout.total_bytes(), both outlive it.
class ItemCursor {
 public:
  ItemCursor(const ItemLayout& layout, std::span<const std::byte> payload)
      : layout_(&layout), rest_(payload) {}
  bool done() const { return position_ == layout_->count; }
  /// All items that are left, one after another.
  std::span<const std::byte> take_rest() {
    position_ = layout_->count;
    return std::exchange(rest_, {});
  }
  std::span<const std::byte> next() {
    const auto size = static_cast<std::size_t>(layout_->size_of(position_++));
    const auto item = rest_.first(size);
    rest_ = rest_.subspan(size);
    return item;
  }

 private:
  const ItemLayout* layout_;
  std::span<const std::byte> rest_;
  std::uint64_t position_ = 0;
};

}  // namespace achilles::protocol
