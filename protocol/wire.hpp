// Writer and Reader: integers and runs of bytes in a message's frames. codec.cpp builds on them.
//
// A Reader never reads past the end: each read answers whether it worked, and the first failure
// says why. What is around the failure (message, field) is added by the codec while it unwinds. One
// owner, no locking; a Writer is used once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/errors.hpp"
#include "protocol/messages.hpp"

namespace achilles::protocol {

/// "1 byte", "2 bytes".
std::string counted(std::uint64_t count, std::string_view noun);

class Writer {
 public:
  explicit Writer(std::size_t reserve = 512)
      : buffer_(std::make_shared_for_overwrite<std::byte[]>(reserve)), capacity_(reserve) {}

  void u8(std::uint8_t value) {
    make_room(1);
    buffer_[size_++] = std::byte{value};
  }
  /// Little-endian base 128: seven bits in each byte, the high bit says that more follow.
  void varint(std::uint64_t value) {
    make_room(10);
    while (value >= 0x80) {
      buffer_[size_++] = static_cast<std::byte>(value | 0x80);
      value >>= 7;
    }
    buffer_[size_++] = static_cast<std::byte>(value);
  }
  /// Eight bytes, little-endian.
  void fixed64(std::uint64_t value) {
    make_room(8);
    for (int shift = 0; shift < 64; shift += 8) {
      buffer_[size_++] = static_cast<std::byte>(value >> shift);
    }
  }
  void raw(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    make_room(bytes.size());
    std::memcpy(buffer_.get() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void raw(std::string_view text) { raw(std::as_bytes(std::span(text.data(), text.size()))); }

  std::size_t size() const { return size_; }
  Bytes take() && { return {std::span<const std::byte>(buffer_.get(), size_), std::move(buffer_)}; }

 private:
  void make_room(std::size_t count) {
    if (capacity_ - size_ < count) [[unlikely]] {
      grow(count);
    }
  }
  void grow(std::size_t count);

  std::shared_ptr<std::byte[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

class Reader {
 public:
  /// `frames` outlives the Reader and is not empty. Reads frame 0 from `offset` on.
  Reader(std::span<const Bytes> frames, std::size_t offset)
      : frames_(frames),
        at_(frames[0].data() + offset),
        end_(frames[0].data() + frames[0].size()) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  std::size_t frames_left() const { return frames_.size() - next_frame_; }

  bool u8(std::uint8_t& value) {
    if (at_ == end_) return fail_missing(1);
    value = std::to_integer<std::uint8_t>(*at_++);
    return true;
  }
  bool varint(std::uint64_t& value) {
    if (at_ != end_ && std::to_integer<std::uint8_t>(*at_) < 0x80) [[likely]] {
      value = std::to_integer<std::uint8_t>(*at_++);
      return true;
    }
    return long_varint(value);
  }
  bool fixed64(std::uint64_t& value) {
    if (left() < 8) return fail_missing(8 - left());
    value = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      value |= std::to_integer<std::uint64_t>(*at_++) << shift;
    }
    return true;
  }
  bool raw(std::span<std::uint8_t> value) {
    if (left() < value.size()) return fail_missing(value.size() - left());
    std::memcpy(value.data(), at_, value.size());
    at_ += value.size();
    return true;
  }
  /// REQUIRES: count <= left().
  std::string_view take_text(std::size_t count) {
    const auto* text = reinterpret_cast<const char*>(at_);
    at_ += count;
    return {text, count};
  }
  /// The next `count` bytes of frame 0, uncopied. REQUIRES: count <= left().
  Bytes take_bytes(std::size_t count) {
    if (count == 0) return {};
    const auto offset = static_cast<std::size_t>(at_ - frames_[0].data());
    at_ += count;
    return frames_[0].slice(offset, count);
  }
  /// REQUIRES: frames_left() > 0.
  const Bytes& take_frame() { return frames_[next_frame_++]; }

  /// Always false, so that a read can end with `return in.fail(…)`.
  bool fail(std::string what, RejectReason reason = RejectReason::kMalformed);
  bool fail_missing(std::uint64_t bytes);
  /// Called while a failure unwinds, innermost first: "items", "[3]", "chunks".
  void within(std::string part) { path_.push_back(std::move(part)); }
  RejectReason reason() const { return reason_; }
  /// "chunks[3].items: 12 bytes missing"
  std::string failure() const;

 private:
  bool long_varint(std::uint64_t& value);

  std::span<const Bytes> frames_;
  std::size_t next_frame_ = 1;
  const std::byte* at_;
  const std::byte* end_;
  RejectReason reason_ = RejectReason::kMalformed;
  std::string what_;
  std::vector<std::string> path_;
};

}  // namespace achilles::protocol
