// MappedFile: a file's bytes, read-only, for as long as it lives.
//
// The file must not shrink meanwhile: the kernel answers a read past its new end with SIGBUS.
// Sealed files cannot; libraries are replaced by renaming.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace achilles::worker {

class MappedFile {
 public:
  /// Empty when the file cannot be opened, is empty, or is no regular file.
  explicit MappedFile(const std::string& path);
  /// `fd` stays the caller's and may be closed.
  explicit MappedFile(int fd);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void map(int fd);
  std::span<const std::byte> bytes_;
};

}  // namespace achilles::worker
