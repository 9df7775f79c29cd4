#include "worker/task_channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "protocol/codec.hpp"
#include "protocol/limits.hpp"

namespace achilles::worker {
namespace {

using protocol::Bytes;
using protocol::Frames;

/// Up to this size copying a frame costs less than an iovec of its own.
constexpr std::size_t kGatherBytes = 8 << 10;
/// Gathered bytes are sealed at this size, so that the buffer grows no further.
constexpr std::size_t kGatheredBytesMax = 256 << 10;
constexpr std::size_t kIovecsMax = 64;
constexpr std::size_t kReadBytes = 256 << 10;
/// Below this much free space the read buffer is replaced or its contents moved to its front.
constexpr std::size_t kReadBytesMin = 32 << 10;
/// A frame of at least this size that has not arrived whole is read into a buffer of its own.
/// Smaller ones must fit the read buffer beside what else it holds.
constexpr std::size_t kLargeFrameBytes = 64 << 10;
static_assert(kLargeFrameBytes + kReadBytesMin <= kReadBytes);
/// From this size on a payload is lent rather than written.
constexpr std::size_t kLendBytes = 32 << 10;
/// All frames of one message together.
constexpr std::uint64_t kMaxMessageBytes = 4 * protocol::kMaxPayloadBytes;

void put_u32(std::byte* out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint32_t get_u32(const std::byte* in) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(in[i]) << (8 * i);
  return value;
}

/// Memory that is not touched before bytes arrive: a peer's claim of a gigabyte costs nothing yet.
std::shared_ptr<std::byte[]> uninitialised(std::size_t size) {
  return std::shared_ptr<std::byte[]>(new std::byte[size]);
}

}  // namespace

/// What was read and is not yet a message.
struct TaskChannel::Reader {
  // The read buffer: [begin, end) is unread by the parser. Slices of it may be alive elsewhere, so
  // bytes once filled are never overwritten while anyone but us holds the buffer.
  std::shared_ptr<std::byte[]> buffer;
  std::size_t begin = 0;
  std::size_t end = 0;

  std::optional<PayloadArena> borrows;

  // The message being read.
  std::optional<std::uint32_t> frame_count;
  struct Announced {
    std::uint32_t size = 0;
    Bytes lent;  ///< Empty: it comes over the stream.
  };
  std::vector<Announced> announced;
  std::uint64_t message_bytes = 0;
  Frames frames;

  // The large frame being read, if one is.
  std::shared_ptr<std::byte[]> large;
  std::size_t large_size = 0;
  std::size_t large_filled = 0;

  std::size_t available() const { return end - begin; }
  void make_room();
  bool parse(const std::function<void(protocol::Message)>& received, std::string& failure);
  bool parse_sizes(std::string& failure);
  bool parse_size(std::string& failure);
  bool parse_frames();
  bool finish_message(const std::function<void(protocol::Message)>& received, std::string& failure);
};

void TaskChannel::Reader::make_room() {
  const bool unshared = buffer && buffer.use_count() == 1;
  // Slices may have been read, then dropped, by other threads: their reads come before our writes.
  // A reference that comes and goes sees to that. (A fence would, too, but not to ThreadSanitizer.)
  if (unshared) std::shared_ptr(buffer).reset();
  if (unshared && begin == end) begin = end = 0;
  if (buffer && kReadBytes - end >= kReadBytesMin) return;
  const std::size_t rest = available();
  if (unshared) {
    std::memmove(buffer.get(), buffer.get() + begin, rest);
  } else {
    auto fresh = uninitialised(kReadBytes);
    if (rest > 0) std::memcpy(fresh.get(), buffer.get() + begin, rest);
    buffer = std::move(fresh);
  }
  begin = 0;
  end = rest;
}

bool TaskChannel::Reader::parse_sizes(std::string& failure) {
  if (!frame_count) {
    if (available() < 4) return false;
    const std::uint32_t count = get_u32(buffer.get() + begin);
    begin += 4;
    if (count == 0 || count > protocol::kMaxFrames) {
      failure = "a message of " + std::to_string(count) +
                " frames was announced, allowed are 1 to " + std::to_string(protocol::kMaxFrames) +
                "; something other than achilles wrote into the task process's socket";
      return false;
    }
    frame_count = count;
    announced.clear();
    message_bytes = 0;
  }
  while (announced.size() < *frame_count) {
    if (!parse_size(failure)) return false;
  }
  return true;
}

bool TaskChannel::Reader::parse_size(std::string& failure) {
  if (available() < 4) return false;
  const std::uint32_t word = get_u32(buffer.get() + begin);
  // A header is never lent: what is parsed must not change meanwhile.
  const bool lent = (word & kLent) != 0 && !announced.empty();
  const std::uint32_t size = lent ? word & ~kLent : word;
  const std::uint64_t limit =
      announced.empty() ? protocol::kMaxHeaderBytes : protocol::kMaxPayloadBytes;
  if (size > limit || message_bytes + size > kMaxMessageBytes) {
    failure = "frame " + std::to_string(announced.size()) + " of a message was announced with " +
              std::to_string(size) + " bytes, allowed are " + std::to_string(limit) +
              "; something other than achilles wrote into the task process's socket";
    return false;
  }
  if (lent && available() < 8) return false;
  message_bytes += size;
  Announced frame{size, {}};
  if (lent) {
    const std::uint32_t first_unit = get_u32(buffer.get() + begin + 4);
    const auto borrowed = borrows ? borrows->borrow(first_unit, size) : std::nullopt;
    if (!borrowed) {
      failure = "frame " + std::to_string(announced.size()) + " of a message, of " +
                std::to_string(size) + " bytes, was said to lie at unit " +
                std::to_string(first_unit) +
                " of the memory shared with the task process, where it cannot be; something other "
                "than achilles wrote into the task process's socket";
      return false;
    }
    frame.lent = *borrowed;
  }
  begin += lent ? 8 : 4;
  announced.push_back(std::move(frame));
  return true;
}

bool TaskChannel::Reader::parse_frames() {
  while (frames.size() < *frame_count) {
    if (large) {
      if (large_filled < large_size) return false;
      frames.emplace_back(std::span<const std::byte>(large.get(), large_size), large);
      large.reset();
      continue;
    }
    Announced& next = announced[frames.size()];
    if (!next.lent.empty()) {
      frames.push_back(std::move(next.lent));
      continue;
    }
    const std::size_t size = next.size;
    if (available() >= size) {
      frames.emplace_back(std::span<const std::byte>(buffer.get() + begin, size), buffer);
      begin += size;
      continue;
    }
    if (size < kLargeFrameBytes) return false;
    large = uninitialised(size);
    large_size = size;
    large_filled = available();
    std::memcpy(large.get(), buffer.get() + begin, large_filled);
    begin = end;
  }
  return true;
}

bool TaskChannel::Reader::finish_message(const std::function<void(protocol::Message)>& received,
                                         std::string& failure) {
  auto decoded = protocol::decode(frames);
  frames.clear();
  frame_count.reset();
  if (auto* malformed = std::get_if<protocol::Malformed>(&decoded)) {
    failure = "bytes that are no message came over the task process's socket (" +
              malformed->detail + "); was the program built with another version of achilles?";
    return false;
  }
  received(std::move(std::get<protocol::Message>(decoded)));
  return true;
}

/// Takes messages off what was read. False: the stream is no good, `failure` says why.
bool TaskChannel::Reader::parse(const std::function<void(protocol::Message)>& received,
                                std::string& failure) {
  while (parse_sizes(failure) && parse_frames()) {
    if (!finish_message(received, failure)) return false;
  }
  return failure.empty();
}

TaskChannel::TaskChannel(int fd) : fd_(fd), reader_(std::make_unique<Reader>()) {}
TaskChannel::TaskChannel(int fd, PayloadArena lends, PayloadArena borrows) : TaskChannel(fd) {
  lends_ = std::move(lends);
  reader_->borrows = std::move(borrows);
}
TaskChannel::~TaskChannel() = default;

void TaskChannel::append(std::span<const std::byte> bytes) {
  gathered_.insert(gathered_.end(), bytes.begin(), bytes.end());
}

void TaskChannel::append_u32(std::uint32_t value) {
  std::array<std::byte, 4> bytes;
  put_u32(bytes.data(), value);
  append(bytes);
  unsent_bytes_ += bytes.size();
}

void TaskChannel::seal_gathered() {
  if (gathered_.empty()) return;
  unsent_.push_back(Bytes::own(std::exchange(gathered_, {})));
}

void TaskChannel::send(const protocol::Message& message) {
  Frames frames = protocol::encode(message);
  append_u32(static_cast<std::uint32_t>(frames.size()));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto size = static_cast<std::uint32_t>(frames[i].size());
    const bool large = i > 0 && size >= kLendBytes;
    if (const auto unit = large && lends_ ? lends_->lend(frames[i].span()) : std::nullopt) {
      append_u32(size | kLent);
      append_u32(*unit);
      frames[i] = {};
    } else {
      append_u32(size);
    }
  }
  for (const Bytes& frame : frames) {
    unsent_bytes_ += frame.size();
    if (frame.size() <= kGatherBytes) {
      append(frame.span());
    } else {
      seal_gathered();
      unsent_.push_back(frame);
    }
  }
  if (gathered_.size() >= kGatheredBytesMax) seal_gathered();
}

void TaskChannel::consume_sent(std::size_t count) {
  unsent_bytes_ -= count;
  while (count > 0 && !unsent_.empty()) {
    const std::size_t rest = unsent_.front().size() - unsent_offset_;
    if (count < rest) {
      unsent_offset_ += count;
      return;
    }
    count -= rest;
    unsent_.pop_front();
    unsent_offset_ = 0;
  }
  if (count == 0) return;
  if (count == gathered_.size()) {
    gathered_.clear();  // Keeps its memory for the next messages.
  } else {
    seal_gathered();
    unsent_offset_ = count;
  }
}

TaskChannel::Io TaskChannel::flush() {
  while (unsent_bytes_ > 0) {
    std::array<iovec, kIovecsMax> pieces;
    std::size_t count = 0;
    const auto add = [&](std::span<const std::byte> bytes) {
      pieces[count].iov_base = const_cast<std::byte*>(bytes.data());
      pieces[count++].iov_len = bytes.size();
    };
    std::size_t taken = 0;
    for (; taken < unsent_.size() && count < kIovecsMax; ++taken) {
      add(unsent_[taken].span().subspan(taken == 0 ? unsent_offset_ : 0));
    }
    if (taken == unsent_.size() && count < kIovecsMax && !gathered_.empty()) add(gathered_);

    msghdr header{};
    header.msg_iov = pieces.data();
    header.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd_, &header, MSG_NOSIGNAL);
    if (sent >= 0) {
      consume_sent(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Io::kWouldBlock;
    } else if (errno != EINTR) {
      return Io::kClosed;  // EPIPE, ECONNRESET: the other end is gone, which receive() will see
                           // too.
    }
  }
  return Io::kDone;
}

TaskChannel::Io TaskChannel::receive(const std::function<void(protocol::Message)>& received) {
  if (!failure_.empty()) return Io::kClosed;
  Reader& reader = *reader_;
  reader.make_room();

  // The rest of a large frame goes where it belongs; what follows it, into the read buffer.
  std::array<iovec, 2> pieces;
  std::size_t count = 0;
  if (reader.large) {
    pieces[count].iov_base = reader.large.get() + reader.large_filled;
    pieces[count++].iov_len = reader.large_size - reader.large_filled;
  }
  pieces[count].iov_base = reader.buffer.get() + reader.end;
  pieces[count++].iov_len = kReadBytes - reader.end;
  msghdr header{};
  header.msg_iov = pieces.data();
  header.msg_iovlen = count;
  ssize_t got = 0;
  do {
    got = ::recvmsg(fd_, &header, 0);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return Io::kClosed;
  if (got < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Io::kWouldBlock;
    if (errno != ECONNRESET) {
      failure_ = "reading from the task process's socket failed: " +
                 std::error_code(errno, std::generic_category()).message();
    }
    return Io::kClosed;
  }

  auto fresh = static_cast<std::size_t>(got);
  if (reader.large) {
    const std::size_t into_large = std::min(fresh, reader.large_size - reader.large_filled);
    reader.large_filled += into_large;
    fresh -= into_large;
  }
  reader.end += fresh;
  return reader.parse(received, failure_) ? Io::kDone : Io::kClosed;
}

}  // namespace achilles::worker
