// The worker's end of a task channel, fed anything that a task process might write: messages whole
// and in pieces, sizes that cannot be, frames lent where none can lie. Whatever comes, what it
// takes for a message can be read, and where it gives up it says why.
//
// An input is steps one after another: a byte says how many of the next ones are written, or, from
// kDrop on, that the oldest message is dropped.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>

#include "protocol/codec.hpp"
#include "tests/fuzz/input.hpp"
#include "worker/descriptor.hpp"
#include "worker/task_channel.hpp"

using namespace achilles;
using fuzz::Input;
using fuzz::require;
using worker::PayloadArena;
using worker::TaskChannel;

namespace {

constexpr std::uint64_t kDrop = 250;

/// One for all inputs: it is large.
std::shared_ptr<PayloadArena::Memory> lent_by_task() {
  static const auto memory = std::make_shared<PayloadArena::Memory>();
  return memory;
}

class World {
 public:
  World(Input input, std::array<int, 2> ends)
      : input_(input),
        task_(ends[0]),
        worker_(ends[1]),
        channel_(worker_.get(), PayloadArena(nullptr), PayloadArena(lent_by_task())) {}

  void run() {
    while (!input_.empty()) {
      const std::uint64_t step = input_.u8();
      if (step < kDrop) {
        if (!write(input_.bytes(step + 1))) return;
      } else if (!messages_.empty()) {
        look_at(messages_.front());
        messages_.pop_front();
      }
    }
    for (const auto& message : messages_) look_at(message);
  }

 private:
  /// False: the channel gave up, and says why.
  bool write(const protocol::Bytes& bytes) {
    require(::write(task_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    const auto keep = [&](protocol::Message message) { messages_.push_back(std::move(message)); };
    if (channel_.receive(keep) != TaskChannel::Io::kClosed) return true;
    require(!channel_.failure().empty());
    return false;
  }

  /// Reads all of it.
  static void look_at(const protocol::Message& message) {
    require(std::get<protocol::Message>(protocol::decode(protocol::encode(message))) == message);
  }

  Input input_;
  worker::Descriptor task_;
  worker::Descriptor worker_;
  TaskChannel channel_;
  std::deque<protocol::Message> messages_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
  World(Input({data, size}), ends).run();
  lent_by_task()->returned.store(0);
  return 0;
}
