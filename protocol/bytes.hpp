// Bytes: an immutable run of bytes and, type-erased, whatever keeps it alive.
//
// A received message part is forwarded uncopied, and the cores need not know what a message part
// is. Copying a Bytes copies a pointer and a reference count. Thread-safe like std::shared_ptr.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace achilles::protocol {

class Bytes {
 public:
  Bytes() = default;
  /// `view` must stay valid for as long as `owner` lives.
  Bytes(std::span<const std::byte> view, std::shared_ptr<const void> owner)
      : view_(view), owner_(std::move(owner)) {}

  static Bytes own(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    const std::span<const std::byte> view(*owner);
    return {view, std::move(owner)};
  }
  static Bytes copy(std::span<const std::byte> bytes) {
    return own(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  static Bytes copy(std::string_view text) {
    return copy(std::as_bytes(std::span(text.data(), text.size())));
  }

  /// A part of the same bytes. REQUIRES: offset + count <= size().
  Bytes slice(std::size_t offset, std::size_t count) const {
    return {view_.subspan(offset, count), owner_};
  }

  const std::byte* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  std::span<const std::byte> span() const { return view_; }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(view_.data()), view_.size()};
  }

  /// Equal contents.
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
  }

 private:
  std::span<const std::byte> view_;
  std::shared_ptr<const void> owner_;
};

/// What one message is between processes: its parts, in order. protocol/codec says what is in them.
using Frames = std::vector<Bytes>;

}  // namespace achilles::protocol
