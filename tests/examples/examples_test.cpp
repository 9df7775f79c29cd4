// The examples, run with small inputs as separate programs; what they print and write is compared.
#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

namespace fs = std::filesystem;

/// A folder of its own for each test, with no cluster configured.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "achilles-examples-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    ::unsetenv("ACHILLES_BROKER");
    ::unsetenv("ACHILLES_ACCESS");
    ::setenv("XDG_CONFIG_HOME", (folder_ / "config").c_str(), 1);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  fs::path path(const std::string& name) const { return folder_ / name; }
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

 private:
  fs::path folder_;
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

/// For the shell.
std::string shell_word(const fs::path& path) {
  return std::string("'").append(path.string()).append("'");
}

/// Runs an example; `arguments` as the shell reads them.
Outcome run(const Scratch& scratch, const std::string& example, const std::string& arguments = "") {
  const auto out = scratch.path("out"), err = scratch.path("err");
  const std::string command = shell_word(fs::path(ACHILLES_EXAMPLES_DIR) / example) + " " +
                              arguments + " >" + shell_word(out) + " 2>" + shell_word(err);
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The table that word_count prints, by the plainest of means.
std::string expected_table(const std::vector<std::string>& texts, std::size_t top) {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& text : texts) {
    std::string word;
    for (const char c : text + " ") {
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
          static_cast<unsigned char>(c) >= 0x80) {
        word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      } else if (!word.empty()) {
        ++counts[word];
        word.clear();
      }
    }
  }
  std::vector<std::pair<std::string, std::uint64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::ostringstream table;
  for (std::size_t i = 0; i < std::min(top, sorted.size()); ++i) {
    table << std::setw(10) << sorted[i].second << ' ' << sorted[i].first << '\n';
  }
  return table.str();
}

/// Checks everything that a PNG of stored 8-bit RGB may be checked for, and answers its pixels'
/// rows, each with its filter byte.
class PngReader {
 public:
  explicit PngReader(std::string bytes) : bytes_(std::move(bytes)) {
    REQUIRE(bytes_.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    std::string zlib;
    std::size_t at = 8;
    std::string name;
    while (name != "IEND") {
      REQUIRE(at + 12 <= bytes_.size());
      const std::size_t size = big_endian(bytes_, at);
      REQUIRE(at + 12 + size <= bytes_.size());
      name = bytes_.substr(at + 4, 4);
      const std::string content = bytes_.substr(at + 8, size);
      REQUIRE(big_endian(bytes_, at + 8 + size) == crc(name + content));
      if (name == "IHDR") read_header(content);
      if (name == "IDAT") zlib += content;
      at += 12 + size;
    }
    REQUIRE(at == bytes_.size());
    inflate(zlib);
    REQUIRE(pixels.size() == height * (width * 3 + 1));
  }

  std::size_t width = 0, height = 0;
  std::string pixels;

 private:
  static std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (const char c : bytes.substr(at, 4)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  static std::uint32_t crc(const std::string& bytes) {
    std::uint32_t value = ~0U;
    for (const char c : bytes) {
      value ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xedb88320U : 0U);
    }
    return ~value;
  }
  void read_header(const std::string& content) {
    REQUIRE(content.size() == 13);
    width = big_endian(content, 0);
    height = big_endian(content, 4);
    REQUIRE(content.substr(8) == std::string("\x08\x02\0\0\0", 5));
  }
  void inflate(const std::string& zlib) {
    REQUIRE(zlib.size() >= 6);
    REQUIRE(zlib[0] == 0x78);
    REQUIRE((zlib[0] * 256 + static_cast<unsigned char>(zlib[1])) % 31 == 0);
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(zlib.at(at)); };
    std::size_t at = 2;
    bool last = false;
    while (!last) {
      last = byte(at) & 1;
      REQUIRE(byte(at) >> 1 == 0);
      const std::size_t size = byte(at + 1) | byte(at + 2) << 8;
      const std::size_t complement = byte(at + 3) | byte(at + 4) << 8;
      REQUIRE((size ^ complement) == 0xffff);
      pixels += zlib.substr(at + 5, size);
      at += 5 + size;
    }
    std::uint32_t low = 1, high = 0;
    for (const char c : pixels) {
      low = (low + static_cast<unsigned char>(c)) % 65521;
      high = (high + low) % 65521;
    }
    REQUIRE(at + 4 == zlib.size());
    REQUIRE(big_endian(zlib, at) == (high << 16 | low));
  }

  std::string bytes_;
};

TEST_CASE("squares prints its four results") {
  const Scratch scratch;
  const auto outcome = run(scratch, "squares");
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "1 4 9 16 25 36 49 64 81 100 \n1 8 27 \n1.66167e+17\none call\n");
  CHECK(outcome.err.empty());
}

TEST_CASE("word_count agrees with a plain count") {
  const Scratch scratch;
  std::vector<std::string> texts{"The cat, the CAT and na\xc3\xafve cats_1cat.\n", "",
                                 "no end of line"};
  std::string large;
  for (int i = 0; i < 200'000; ++i) {
    large += std::string(1 + static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26));
    large += i % 11 == 0 ? '\n' : ' ';
  }
  texts.push_back(large);
  std::string list;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    list += scratch.write("text " + std::to_string(i), texts[i]).string() + "\n";
  }
  const std::string list_path = shell_word(scratch.write("list", list));

  const auto all = run(scratch, "word_count", "--top 1000000000 --files-from " + list_path);
  CHECK(all.status == 0);
  CHECK(all.out == expected_table(texts, 1'000'000'000));
  CHECK(all.err.find("4 files, 200012 words, ") == 0);

  const auto few = run(scratch, "word_count", "--top 3 --files-from - <" + list_path);
  CHECK(few.status == 0);
  CHECK(few.out == expected_table(texts, 3));

  const auto one = run(scratch, "word_count", shell_word(scratch.path("text 0")));
  CHECK(one.out == expected_table({texts[0]}, 20));
}

TEST_CASE("word_count skips what it cannot count, and says so") {
  const Scratch scratch;
  const auto text = scratch.write("text", "word word").string();
  const auto binary = scratch.write("binary", std::string("word\0word", 9)).string();
  const auto missing = scratch.path("missing").string();
  const auto outcome =
      run(scratch, "word_count",
          "/ " + shell_word(missing) + " " + shell_word(text) + " " + shell_word(binary));
  CHECK(outcome.status == 0);
  CHECK(outcome.out == "         2 word\n");
  const auto notes = lines_of(outcome.err);
  REQUIRE(notes.size() == 4);
  CHECK(notes[0] == "word_count: skipped /: it cannot be read");
  CHECK(notes[1] == "word_count: skipped " + missing + ": it cannot be read");
  CHECK(notes[2] == "word_count: skipped " + binary + ": it is not text");
  CHECK(notes[3].find("1 files, 2 words, ") == 0);
}

TEST_CASE("errors catches them all") {
  const Scratch scratch;
  const auto outcome = run(scratch, "errors");
  CHECK(outcome.status == 0);
  const auto lines = lines_of(outcome.out);
  const std::vector<std::string> expected{
      "map: item 2 threw std::domain_error: zero has no inverse",
      "imap: 0.25",
      "imap: 0.5",
      "imap: zero has no inverse",
      "imap: 1",
      "crash: 10",
      "crash: item 1 ended 2 processes by signal 6 (Aborted)",
      "crash: 30",
      "crash: 40",
      "input: 1",
      "input: 0.5",
      "input: the source has run dry"};
  for (const auto& line : expected) {
    INFO("looking for: " << line << "\nin:\n" << outcome.out << outcome.err);
    CHECK(std::count(lines.begin(), lines.end(), line) == 1);
  }
  CHECK(outcome.out.find("runtime_error") < outcome.out.find("  std::domain_error: zero"));
}

TEST_CASE("picture writes a valid PNG of many colours") {
  const Scratch scratch;
  const auto path = scratch.path("picture.png");
  const auto outcome = run(scratch, "picture", "--size 64x40 " + shell_word(path));
  CHECK(outcome.status == 0);
  CHECK(outcome.err.empty());
  const PngReader png(read_file(path));
  CHECK(png.width == 64);
  CHECK(png.height == 40);
  std::set<std::string> colours;
  for (std::size_t row = 0; row < png.height; ++row) {
    const std::size_t at = row * (png.width * 3 + 1);
    REQUIRE(png.pixels[at] == 0);
    for (std::size_t x = 0; x < png.width; ++x)
      colours.insert(png.pixels.substr(at + 1 + x * 3, 3));
  }
  CHECK(colours.size() > 1000);
}

TEST_CASE("picture splits rows that are longer than a stored block") {
  const Scratch scratch;
  const auto path = scratch.path("picture.png");
  CHECK(run(scratch, "picture", "--size 30000x1 " + shell_word(path)).status == 0);
  const PngReader png(read_file(path));
  CHECK(png.width == 30000);
  CHECK(png.height == 1);
}

TEST_CASE("picture says how it is used when it is not told a file and what else it knows") {
  const Scratch scratch;
  const auto path = shell_word(scratch.path("picture.png"));
  for (const auto& arguments :
       {std::string(), std::string("--help"), "--size 10 " + path, path + " " + path}) {
    const auto outcome = run(scratch, "picture", arguments);
    CHECK(outcome.status == 2);
    CHECK(outcome.err == "usage: picture [--size WxH] out.png\n");
  }
}

}  // namespace
