// Bytes: an immutable run of bytes and, type-erased, whatever keeps it alive.
//
// A received message part is forwarded uncopied, and the cores need not know what a message part
// is. Copying a Bytes copies a pointer and a reference count. A few bytes lie in the Bytes itself:
// a tiny item then costs no allocation and no count, and keeps no large buffer alive for its sake.
//
// So the address of the bytes is good while *this very* Bytes lives and stays where it is.
// Thread-safe like std::shared_ptr.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace achilles::protocol {

class Bytes {
 public:
  /// So many lie in the Bytes itself: what a pointer and its owner would take.
  static constexpr std::size_t kInsideMax =
      sizeof(const std::byte*) + sizeof(std::shared_ptr<void>);

  Bytes() noexcept {}
  /// `view` must stay valid for as long as `owner` lives.
  Bytes(std::span<const std::byte> view, std::shared_ptr<const void> owner) : size_(view.size()) {
    if (inside()) {
      copy_inside(view.data());
    } else {
      new (&outside_) Outside{view.data(), std::move(owner)};
    }
  }
  Bytes(const Bytes& other) : size_(other.size_) {
    if (inside()) {
      std::memcpy(inside_, other.inside_, kInsideMax);
    } else {
      new (&outside_) Outside(other.outside_);
    }
  }
  Bytes(Bytes&& other) noexcept : size_(other.size_) {
    if (inside()) {
      std::memcpy(inside_, other.inside_, kInsideMax);
    } else {
      new (&outside_) Outside(std::move(other.outside_));
      other.outside_.~Outside();
      other.size_ = 0;
    }
  }
  Bytes& operator=(const Bytes& other) {
    if (this != &other) *this = Bytes(other);
    return *this;
  }
  Bytes& operator=(Bytes&& other) noexcept {
    if (this == &other) return *this;
    this->~Bytes();
    return *new (this) Bytes(std::move(other));
  }
  ~Bytes() {
    if (!inside()) outside_.~Outside();
  }

  static Bytes own(std::vector<std::byte> bytes) {
    if (bytes.size() <= kInsideMax) return {bytes, nullptr};
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    const std::span<const std::byte> view(*owner);
    return {view, std::move(owner)};
  }
  static Bytes copy(std::span<const std::byte> bytes) {
    if (bytes.size() <= kInsideMax) return {bytes, nullptr};
    return own(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  static Bytes copy(std::string_view text) {
    return copy(std::as_bytes(std::span(text.data(), text.size())));
  }

  /// A part of the same bytes. REQUIRES: offset + count <= size().
  Bytes slice(std::size_t offset, std::size_t count) const {
    const auto part = span().subspan(offset, count);
    return count <= kInsideMax ? Bytes(part, nullptr) : Bytes(part, outside_.owner);
  }

  const std::byte* data() const { return inside() ? inside_ : outside_.data; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::byte> span() const { return {data(), size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size_}; }

  /// Equal contents.
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
  }

 private:
  struct Outside {
    const std::byte* data;
    std::shared_ptr<const void> owner;
  };
  bool inside() const { return size_ <= kInsideMax; }
  void copy_inside(const std::byte* from) {
    if (size_ > 0) std::memcpy(inside_, from, size_);
  }

  std::size_t size_ = 0;  // Says which of the two it is.
  union {
    std::byte inside_[kInsideMax]{};
    Outside outside_;
  };
};

/// What one message is between processes: its parts, in order. protocol/codec says what is in them.
using Frames = std::vector<Bytes>;

}  // namespace achilles::protocol
