// The decoder, fed anything: it answers a message or words, and a message has one encoding only.
//
// An input is frames one after another, each as a size of three bytes (little-endian) and its
// bytes; what the last size asks for beyond the end is left out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <variant>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"

using namespace achilles::protocol;

namespace {

Frames frames_of(std::span<const std::uint8_t> input) {
  Frames frames;
  while (input.size() >= 3) {
    const std::size_t wanted = input[0] | std::size_t{input[1]} << 8 | std::size_t{input[2]} << 16;
    input = input.subspan(3);
    const std::size_t size = std::min(wanted, input.size());
    // A copy of its own: reading past a frame's end is found by the sanitizer.
    frames.push_back(Bytes::copy(std::as_bytes(input.first(size))));
    input = input.subspan(size);
  }
  return frames;
}

void require(bool held) {
  if (!held) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Frames frames = frames_of({data, size});
  const auto decoded = decode(frames);
  if (const auto* malformed = std::get_if<Malformed>(&decoded)) {
    require(!malformed->detail.empty());
    return 0;
  }
  const auto& message = std::get<Message>(decoded);
  require(encode(message) == frames);
  require(std::get<Message>(decode(encode(message))) == message);
  require(!describe(message).empty());
  return 0;
}
