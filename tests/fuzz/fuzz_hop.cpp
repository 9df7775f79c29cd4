// One end of a connection, fed anything: parts in any order and size, sessions that begin and end,
// and frames that are nothing. Whatever comes, it holds no more than has arrived, and sends no more
// than was taken.
//
// An input is steps one after another: a byte says which, its arguments follow. See `step`.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <variant>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/hop.hpp"
#include "protocol/inbox.hpp"
#include "tests/fuzz/input.hpp"

using namespace achilles::protocol;
using achilles::fuzz::Input;
using achilles::fuzz::require;

namespace {

Bytes zeros(std::size_t size) {
  static const Bytes all = Bytes::own(std::vector<std::byte>(8 << 20));
  return all.slice(0, size);
}

class World {
 public:
  World(Input input, Hop::End end) : input_(input), end_(end), hop_(end) { inbox_.begin(5000); }

  void run() {
    while (!input_.empty()) {
      step();
      drain();
      require(inbox_.held_bytes() <= inbox_.total_bytes());
      require(inbox_.held_bytes() <= 10'000);
      require(inbox_.stream_count() <= kMaxStreams);
    }
  }

 private:
  void step() {
    switch (input_.u8() % 8) {
      case 0:
        return receive_anything();
      case 1:
      case 2:
        return receive_part();
      case 3:
        return receive(PartsTaken{input_.size()});
      case 4:
        return receive_dropped();
      case 5:
        return send_large();
      case 6:
        return begin_session();
      default:
        taken_bytes_ = std::min(sent_bytes_, taken_bytes_ + (input_.u8() << 14));
        receive(PartsTaken{taken_bytes_});
    }
  }

  void receive_anything() {
    Frames frames;
    for (auto count = input_.u8() % 4; count > 0; --count) {
      frames.push_back(input_.bytes(input_.u16()));
    }
    auto received = hop_.receive(frames);
    if (const auto* message = std::get_if<Message>(&received)) return note(*message);
    // What the hop keeps to itself may be well formed, too.
    const auto decoded = decode(frames);
    if (const auto* message = std::get_if<Message>(&decoded)) note(*message);
  }
  void receive(const Message& message) {
    const auto received = hop_.receive(encode(message));
    if (const auto* bad = std::get_if<Malformed>(&received)) require(!bad->detail.empty());
    note(message);
  }
  void receive_part() {
    Part part;
    part.stream = input_.u8() % 16;
    for (auto count = input_.u8() % 5; count > 0; --count) {
      part.frame_sizes.push_back(input_.size());
    }
    part.offset = input_.size();
    part.bytes = zeros(input_.u16() % 6000);
    receive(part);
    const auto taken = inbox_.take(part);
    const auto* frames = std::get_if<Frames>(&taken);
    if (frames == nullptr) return;
    std::uint64_t bytes = 0;
    for (const auto& frame : *frames) bytes += frame.size();
    require(bytes > 0 && bytes <= 5000);
  }
  void receive_dropped() {
    const PartsDropped dropped{input_.u8() % 16};
    receive(dropped);
    inbox_.drop(dropped);
  }
  void send_large() {
    const JobId job{{1}, input_.u8() % 4};
    const auto size = static_cast<std::uint32_t>(input_.u8() << 14);
    if (size == 0) return hop_.send(CloseJob{job});
    hop_.send(Submit{job, {{0, {{1, size, {}}, zeros(size)}}}});
  }
  /// As it goes, or with an answer to an older HELLO.
  void begin_session() {
    Welcome welcome;
    welcome.incarnation = input_.u8() % 4;
    welcome.session = {input_.u8() % 4};
    if (end_ == Hop::End::kBroker) {
      hop_.send(welcome);
      begins(welcome);
    } else {
      Hello hello;
      hello.incarnation = incarnation_ = welcome.incarnation;
      session_.reset();
      hop_.send(hello);
      drain();
      hop_.receive(encode(welcome));
      note(welcome);
    }
  }
  /// It was received: a WELCOME may begin a session, PARTS_TAKEN make room.
  void note(const Message& message) {
    const auto* welcome = std::get_if<Welcome>(&message);
    const bool awaited = welcome != nullptr && end_ == Hop::End::kPeer;
    if (awaited && welcome->incarnation == incarnation_) begins(*welcome);
    const auto* taken = std::get_if<PartsTaken>(&message);
    if (taken != nullptr && session_ && taken->total_bytes <= sent_bytes_) {
      taken_bytes_ = std::max(taken_bytes_, taken->total_bytes);
    }
  }
  /// Everything is counted anew, unless it is the same answer once more.
  void begins(const Welcome& welcome) {
    const std::tuple session(welcome.boot, welcome.session, welcome.incarnation);
    if (session_ == session) return;
    session_ = session;
    sent_bytes_ = taken_bytes_ = 0;
  }
  void drain() {
    while (const auto frames = hop_.next()) {
      const auto decoded = decode(*frames);
      require(std::holds_alternative<Message>(decoded));
      const auto* part = std::get_if<Part>(&std::get<Message>(decoded));
      if (part != nullptr) sent_bytes_ += part->bytes.size();
      require(sent_bytes_ - taken_bytes_ <= kPartsInFlightBytes);
    }
  }

  Input input_;
  Hop::End end_;
  Hop hop_;
  Inbox inbox_;
  std::uint64_t incarnation_ = 0;
  std::optional<std::tuple<BootId, SessionId, std::uint64_t>> session_;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t taken_bytes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input({data, size});
  const auto end = input.u8() % 2 == 0 ? Hop::End::kBroker : Hop::End::kPeer;
  World(input, end).run();
  return 0;
}
