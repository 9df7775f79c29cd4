#include "protocol/wire.hpp"

#include <algorithm>

namespace achilles::protocol {

std::string counted(std::uint64_t count, std::string_view noun) {
  std::string text = std::to_string(count) + " ";
  text += noun;
  if (count != 1) text += 's';
  return text;
}

void Writer::grow(std::size_t count) {
  const std::size_t capacity = std::max(2 * capacity_, size_ + count);
  auto buffer = std::make_shared_for_overwrite<std::byte[]>(capacity);
  std::memcpy(buffer.get(), buffer_.get(), size_);
  buffer_ = std::move(buffer);
  capacity_ = capacity;
}

bool Reader::fail(std::string what, RejectReason reason) {
  what_ = std::move(what);
  reason_ = reason;
  return false;
}

bool Reader::fail_missing(std::uint64_t bytes) {
  return fail(counted(bytes, "byte") + " missing");
}

bool Reader::long_varint(std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == end_) return fail_missing(1);
    const auto byte = std::to_integer<std::uint64_t>(*at_++);
    if (shift == 63 && byte > 1) return fail("a number of more than 64 bits");
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) {
      // One encoding for each number: nothing to smuggle, and equal messages are equal bytes.
      if (byte == 0 && shift != 0) return fail("a number that is longer than it need be");
      return true;
    }
  }
  return fail("a number of more than 64 bits");
}

std::string Reader::failure() const {
  std::string text;
  for (auto part = path_.rbegin(); part != path_.rend(); ++part) {
    if (!text.empty() && part->front() != '[') text += '.';
    text += *part;
  }
  if (!text.empty()) text += ": ";
  return text + what_;
}

}  // namespace achilles::protocol
