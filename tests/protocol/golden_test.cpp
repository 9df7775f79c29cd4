// The bytes of every message, pinned. golden/*.hex: DO NOT CHANGE a file unless kProtocolVersion
// changes with it; other releases are out there. New samples are written by running this test with
// ACHILLES_REWRITE_GOLDEN=1; review them as a diff.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "protocol/codec.hpp"
#include "protocol/describe.hpp"
#include "tests/protocol/samples.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

const std::filesystem::path kFolder = ACHILLES_GOLDEN_FOLDER;

/// A comment, then each frame as "frame SIZE" and lines of 32 bytes.
std::string text_of(const Message& message, const Frames& frames) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "# DO NOT CHANGE: these bytes are the protocol. " + describe(message) + "\n";
  for (const auto& frame : frames) {
    text += "frame " + std::to_string(frame.size());
    for (std::size_t i = 0; i < frame.size(); ++i) {
      text += i % 32 == 0 ? '\n' : ' ';
      const auto byte = std::to_integer<unsigned>(frame.data()[i]);
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
    text += '\n';
  }
  return text;
}

Frames frames_of(std::istream& text) {
  Frames frames;
  std::string word;
  std::getline(text, word);  // The comment.
  while (text >> word) {
    REQUIRE(word == "frame");
    std::size_t size = 0;
    REQUIRE(text >> size);
    std::vector<std::byte> bytes(size);
    for (auto& byte : bytes) {
      REQUIRE(text >> word);
      byte = static_cast<std::byte>(std::stoul(word, nullptr, 16));
    }
    frames.push_back(Bytes::own(std::move(bytes)));
  }
  return frames;
}

}  // namespace

TEST_CASE("the golden messages have the bytes that they always had") {
  const bool rewrite = std::getenv("ACHILLES_REWRITE_GOLDEN") != nullptr;
  std::set<std::string> names;
  for (const auto& [name, message] : samples::golden()) {
    INFO(name);
    REQUIRE(names.insert(name + ".hex").second);
    const auto path = kFolder / (name + ".hex");
    const Frames frames = encode(message);
    if (rewrite) std::ofstream(path) << text_of(message, frames);
    std::ifstream file(path);
    REQUIRE(file.is_open());
    const Frames pinned = frames_of(file);
    CHECK(frames == pinned);
    const auto decoded = decode(pinned);
    REQUIRE(std::holds_alternative<Message>(decoded));
    CHECK(std::get<Message>(decoded) == message);
  }
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    INFO(entry.path() << " belongs to no sample");
    CHECK(names.count(entry.path().filename().string()) == 1);
  }
}
