// PngWriter: writes a picture row by row, as they come. The pixels are stored uncompressed, which
// is valid PNG and needs no library.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

class PngWriter {
 public:
  /// Throws when the file cannot be created.
  PngWriter(const std::string& path, int width, int height) : file_(path, std::ios::binary) {
    if (!file_) throw std::runtime_error("cannot write " + path);
    file_ << "\x89PNG\r\n\x1a\n";
    // Eight bits each of red, green and blue.
    write_part("IHDR", number(width) + number(height) + std::string("\x08\x02\0\0\0", 5));
    write_part("IDAT", "\x78\x01");  // The head of a zlib stream.
  }

  /// Red, green, blue, from left to right.
  void add_row(const std::vector<std::uint8_t>& pixels) {
    std::string row(1, '\0');  // No filter.
    row.append(pixels.begin(), pixels.end());
    for (const std::uint8_t byte : row) {
      adler_low_ = (adler_low_ + byte) % 65521;
      adler_high_ = (adler_high_ + adler_low_) % 65521;
    }
    std::string blocks;
    for (std::size_t at = 0; at < row.size(); at += kBlockBytes) {
      blocks += stored_block(row.substr(at, kBlockBytes), false);
    }
    write_part("IDAT", blocks);
  }

  /// After the last row. Throws when the file could not be written.
  void finish() {
    write_part("IDAT", stored_block("", true) + number(adler_high_ << 16 | adler_low_));
    write_part("IEND", "");
    file_.close();
    if (!file_) throw std::runtime_error("the picture could not be written: is the disk full?");
  }

 private:
  static constexpr std::size_t kBlockBytes = 65535;

  /// Four bytes, the highest first.
  static std::string number(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  }

  /// Bytes as they are, after their count and its complement, each with the lowest byte first.
  static std::string stored_block(const std::string& bytes, bool last) {
    const std::size_t size = bytes.size();
    std::string block(1, last ? '\1' : '\0');
    for (const std::size_t part : {size, size >> 8, ~size, ~size >> 8}) {
      block += static_cast<char>(part);
    }
    return block + bytes;
  }

  void write_part(const std::string& name, const std::string& content) {
    const std::string checked = name + content;
    file_ << number(static_cast<std::uint32_t>(content.size())) << checked << number(crc(checked));
  }

  static std::uint32_t crc(std::string_view bytes) {
    static const auto table = [] {
      std::array<std::uint32_t, 256> entries{};
      for (std::uint32_t i = 0; i < 256; ++i) {
        entries[i] = i;
        for (int bit = 0; bit < 8; ++bit) {
          entries[i] = entries[i] >> 1 ^ (entries[i] & 1 ? 0xedb88320U : 0U);
        }
      }
      return entries;
    }();
    std::uint32_t value = ~0U;
    for (const std::uint8_t byte : bytes) value = table[(value ^ byte) & 0xff] ^ value >> 8;
    return ~value;
  }

  std::ofstream file_;
  std::uint32_t adler_low_ = 1, adler_high_ = 0;
};
