#include "worker/preflight.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"
#include "worker/elf_facts.hpp"

namespace {

using namespace achilles;
using Image = std::vector<std::byte>;

Image own_image() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Image image(text.size());
  std::memcpy(image.data(), text.data(), text.size());
  return image;
}

/// Replaces every occurrence of a text with another of the same size; answers how many.
int patch(Image& image, std::string_view from, std::string_view to) {
  REQUIRE(from.size() == to.size());
  const auto* text = reinterpret_cast<char*>(image.data());
  int count = 0;
  for (std::string_view whole(text, image.size());;) {
    const std::size_t at = whole.find(from);
    if (at == std::string_view::npos) return count;
    std::memcpy(const_cast<char*>(whole.data()) + at, to.data(), to.size());
    ++count;
  }
}

}  // namespace

TEST_CASE("a program that runs here passes") {
  const Image image = own_image();
  REQUIRE(worker::preflight(image) == std::nullopt);
  const auto needed = worker::needed_libraries(image);
  REQUIRE(std::ranges::find(needed, "libc.so.6") != needed.end());
}

TEST_CASE("an absent library is named") {
  Image image = own_image();
  REQUIRE(patch(image, std::string_view("libstdc++.so.6", 15),
                std::string_view("libabsent.so.6", 15)) > 0);
  const auto sentence = worker::preflight(image);
  REQUIRE(sentence);
  REQUIRE(sentence->find("needs libabsent.so.6, which is not in this machine's") !=
          std::string::npos);
}

TEST_CASE("a missing version is named, with the best that is there") {
  Image image = own_image();
  const auto facts = std::get<worker::ElfFacts>(worker::read_elf(image));
  const auto needs = std::ranges::find(facts.needed_versions, "libc.so.6",
                                       [](const auto& entry) { return entry.library; });
  REQUIRE(needs != facts.needed_versions.end());
  // A version that the program needs for certain, made newer than any library.
  const std::string real = needs->versions.at(0);
  std::string doctored = real;
  doctored[real.find('_') + 1] = '9';
  // With the byte that ends it, lest a longer version starts with the same text.
  REQUIRE(patch(image, std::string_view(real.c_str(), real.size() + 1),
                std::string_view(doctored.c_str(), doctored.size() + 1)) > 0);
  const auto sentence = worker::preflight(image);
  REQUIRE(sentence);
  REQUIRE(
      sentence->starts_with("it needs " + doctored + " from libc.so.6, which has up to GLIBC_2."));
}

TEST_CASE("libraries in folders of one's own choice count") {
  const Image image = own_image();
  const std::vector<std::string> nowhere = {"/nonexistent"};
  const auto sentence = worker::preflight(image, nowhere);
  REQUIRE(sentence);
  REQUIRE(sentence->find("libstdc++.so.6") != std::string::npos);
}

TEST_CASE("another machine's, another kind's or another size's file is refused") {
  Image image = own_image();
  const auto patched = [&](std::size_t offset, int value) {
    Image copy = image;
    copy[offset] = static_cast<std::byte>(value);
    return worker::preflight(copy).value_or("");
  };
  REQUIRE(
      patched(offsetof(Elf64_Ehdr, e_machine), EM_AARCH64 ^ 0xFF).starts_with("it is built for"));
  REQUIRE(patched(EI_CLASS, ELFCLASS32).find("32-bit") != std::string::npos);
  REQUIRE(patched(EI_DATA, ELFDATA2MSB).find("big-endian") != std::string::npos);
  REQUIRE(patched(offsetof(Elf64_Ehdr, e_type), ET_REL).find("no executable") != std::string::npos);
  REQUIRE(patched(0, 'x') == "it is no ELF file");
}

TEST_CASE("a missing loader is named") {
  Image image = own_image();
  REQUIRE(patch(image, "/ld-linux", "/ld-lost-") > 0);
  const auto sentence = worker::preflight(image);
  REQUIRE(sentence);
  REQUIRE(sentence->starts_with("its loader /"));
  REQUIRE(sentence->ends_with(" is not on this machine"));
}

TEST_CASE("a program cut off anywhere is refused, never read past its end") {
  const Image image = own_image();
  for (std::size_t size : {0, 1, 15, 16, 63, 64, 200, 1000, 5000}) {
    INFO(size);
    const Image cut(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(size));
    REQUIRE(worker::preflight(cut));
  }
  // What follows the loaded segments, debug information, nobody needs.
  Elf64_Ehdr header{};
  std::memcpy(&header, image.data(), sizeof header);
  std::size_t loaded = 0;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    std::memcpy(&segment, image.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_LOAD) loaded = std::max(loaded, segment.p_offset + segment.p_filesz);
  }
  const Image half(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(loaded / 2));
  REQUIRE(worker::preflight(half)->find("cut off") != std::string::npos);
}

TEST_CASE("random damage never crashes") {
  const Image image = own_image();
  const std::size_t head = std::min<std::size_t>(image.size(), 48 << 10);
  std::mt19937_64 random(7);
  const std::vector<std::string> folders = {"/lib/x86_64-linux-gnu"};
  for (int round = 0; round < 3000; ++round) {
    Image copy(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(head));
    // Damage where it matters: the headers, or the tables behind them.
    const std::size_t reach = round % 2 == 0 ? 1024 : head;
    for (int i = 0; i < 4; ++i) copy[random() % reach] = static_cast<std::byte>(random());
    (void)worker::preflight(copy, folders);
    (void)worker::wanted_library_folders(copy);
  }
  // Whole copies keep their last parts, where the dynamic section lies.
  Image whole = image;
  for (int round = 0; round < 2000; ++round) {
    const std::size_t at = round % 2 == 0 ? random() % 1024 : random() % whole.size();
    const std::byte before = whole[at];
    whole[at] = static_cast<std::byte>(random());
    (void)worker::preflight(whole, folders);
    whole[at] = before;
  }
}
