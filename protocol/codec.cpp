#include "protocol/codec.hpp"

#include <array>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include "protocol/check.hpp"
#include "protocol/limits.hpp"
#include "protocol/version.hpp"
#include "protocol/wire.hpp"

namespace achilles::protocol {
namespace {

constexpr std::size_t kPrefixBytes = kMagic.size() + 2;
constexpr std::uint64_t kExternal = 1;
constexpr std::uint64_t kUniform = 1;

template <class T>
concept HasFields = requires(T& value) { T::fields(value, [](const char*, auto&) {}); };

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsId = false;
template <class Tag>
inline constexpr bool kIsId<Id<Tag>> = true;
/// Ids drawn at random fill their 64 bits: a varint would take ten bytes instead of eight.
template <class T>
inline constexpr bool kIsRandomId = std::same_as<T, ClientId> || std::same_as<T, WorkerId> ||
                                    std::same_as<T, SessionId> || std::same_as<T, BootId>;

constexpr std::uint8_t last_of(Role) {
  return static_cast<std::uint8_t>(Role::kObserver);
}
constexpr std::uint8_t last_of(RejectReason) {
  return static_cast<std::uint8_t>(RejectReason::kDuplicateId);
}
constexpr std::uint8_t last_of(ErrorKind) {
  return kErrorKindLast;
}

// ---- what `fields` cannot say -----------------------------------------------------------------

/// Why this value is none that may be sent, or nothing. Checked on both sides.
template <class T>
const char* flaw_in(const T&) {
  return nullptr;
}
template <>
const char* flaw_in(const Chunk& chunk) {
  const bool fits = chunk.first <= std::numeric_limits<ItemIndex>::max() - chunk.items.count();
  return fits ? nullptr : "item indices beyond 64 bits";
}
template <>
const char* flaw_in(const ChunkResult& result) {
  const std::uint64_t count = result.items.count();
  if (result.first > std::numeric_limits<ItemIndex>::max() - count) {
    return "item indices beyond 64 bits";
  }
  for (std::size_t i = 0; i < result.errors.size(); ++i) {
    const ItemIndex index = result.errors[i].index;
    if (index < result.first || index - result.first >= count) return "an error of an item outside";
    if (i > 0 && index <= result.errors[i - 1].index)
      return "errors that are not in order of index";
    if (!result.items.layout.uniform() && result.items.layout.size_of(index - result.first) != 0) {
      return "an item with an error and a value";
    }
  }
  return nullptr;
}
template <>
const char* flaw_in(const OpenJob& open) {
  return open.context.size() <= kMaxContextBytes ? nullptr : "a context above kMaxContextBytes";
}
template <>
const char* flaw_in(const ProgramPart& part) {
  if (part.total_bytes > kMaxProgramBytes) return "a program above kMaxProgramBytes";
  const bool inside = part.offset <= part.total_bytes && part.bytes.size() <= kPartBytes &&
                      part.bytes.size() <= part.total_bytes - part.offset;
  return inside ? nullptr : "a part that is outside the program or too large";
}

template <>
const char* flaw_in(const Part& part) {
  return part.bytes.size() <= kPartBytes ? nullptr : "a part above kPartBytes";
}

// ---- writing --------------------------------------------------------------------------------

struct Encoder {
  Writer header;
  Frames external;               ///< The frames after frame 0.
  bool in_error_record = false;  ///< Texts may be cut here.
};

void write_text(Encoder& out, std::string_view text) {
  if (text.size() <= kMaxTextBytes) [[likely]] {
    out.header.varint(text.size());
    out.header.raw(text);
    return;
  }
  check(out.in_error_record, "A text that is sent exceeds kMaxTextBytes.");
  const std::string mark = "… [cut here: " + std::to_string(text.size()) + " bytes in all]";
  std::size_t keep = kMaxTextBytes - mark.size();
  while (keep > 0 && (static_cast<unsigned char>(text[keep]) & 0xC0) == 0x80)
    --keep;  // Whole characters.
  out.header.varint(keep + mark.size());
  out.header.raw(text.substr(0, keep));
  out.header.raw(mark);
}

void write_bytes(Encoder& out, const Bytes& bytes) {
  check(bytes.size() <= kMaxPayloadBytes, "A byte string that is sent exceeds kMaxPayloadBytes.");
  if (bytes.size() <= kInlineBytes) {
    out.header.varint(std::uint64_t{bytes.size()} << 1);
    out.header.raw(bytes.span());
  } else {
    out.header.varint(std::uint64_t{bytes.size()} << 1 | kExternal);
    out.external.push_back(bytes);
  }
}

void write_layout(Encoder& out, const ItemLayout& layout) {
  check(layout.count <= kMaxItemsPerChunk, "A chunk that is sent exceeds kMaxItemsPerChunk.");
  if (layout.uniform()) {
    out.header.varint(layout.count << 1 | kUniform);
    out.header.varint(layout.stride);
  } else {
    check(layout.sizes.size() == layout.count, "A chunk's sizes do not fit its count.");
    out.header.varint(layout.count << 1);
    for (const auto size : layout.sizes) out.header.varint(size);
  }
}

template <class T>
void write(Encoder& out, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    out.header.u8(value ? 1 : 0);
  } else if constexpr (std::unsigned_integral<T>) {
    out.header.varint(value);
  } else if constexpr (std::is_enum_v<T>) {
    out.header.u8(static_cast<std::uint8_t>(value));
  } else if constexpr (kIsRandomId<T>) {
    out.header.fixed64(value.value);
  } else if constexpr (kIsId<T>) {
    out.header.varint(value.value);
  } else if constexpr (std::same_as<T, JobId>) {
    out.header.fixed64(value.client.value);
    out.header.varint(value.number);
  } else if constexpr (std::same_as<T, FunctionKey>) {
    out.header.varint(value.module);
    out.header.varint(value.offset);
  } else if constexpr (std::same_as<T, ProgramId>) {
    out.header.raw(std::as_bytes(std::span(value.hash)));
  } else if constexpr (std::same_as<T, std::string>) {
    write_text(out, value);
  } else if constexpr (std::same_as<T, Bytes>) {
    write_bytes(out, value);
  } else if constexpr (std::same_as<T, Items>) {
    check(value.payload.size() == value.layout.total_bytes(),
          "A chunk's payload does not fit its layout.");
    write_layout(out, value.layout);
    write_bytes(out, value.payload);
  } else if constexpr (kIsOptional<T>) {
    out.header.u8(value ? 1 : 0);
    if (value) write(out, *value);
  } else if constexpr (kIsVector<T>) {
    out.header.varint(value.size());
    for (const auto& element : value) write(out, element);
  } else {
    static_assert(HasFields<T>, "the codec does not know this type");
    const char* flaw = flaw_in(value);
    check(flaw == nullptr, flaw);
    const bool outer = out.in_error_record;
    if constexpr (std::same_as<T, ErrorRecord>) out.in_error_record = true;
    T::fields(value, [&out](const char*, const auto& field) { write(out, field); });
    out.in_error_record = outer;
  }
}

/// The fewest bytes that any T takes: a default T has only zeros and empty things.
template <class T>
std::size_t minimum_bytes() {
  static const std::size_t bytes = [] {
    Encoder out;
    write(out, T{});
    return out.header.size();
  }();
  return bytes;
}

// ---- reading --------------------------------------------------------------------------------

bool read_text(Reader& in, std::string& text) {
  std::uint64_t size = 0;
  if (!in.varint(size)) return false;
  if (size > kMaxTextBytes) {
    return in.fail("a text of " + std::to_string(size) + " bytes, above the limit of " +
                       std::to_string(kMaxTextBytes),
                   RejectReason::kOverLimit);
  }
  if (size > in.left()) return in.fail_missing(size - in.left());
  text.assign(in.take_text(static_cast<std::size_t>(size)));
  return true;
}

bool read_bytes(Reader& in, Bytes& bytes, std::uint64_t bytes_max = kMaxPayloadBytes) {
  std::uint64_t head = 0;
  if (!in.varint(head)) return false;
  const std::uint64_t size = head >> 1;
  if (size > bytes_max) {
    return in.fail(std::to_string(size) + " bytes, above the limit of " + std::to_string(bytes_max),
                   RejectReason::kOverLimit);
  }
  const bool external = (head & kExternal) != 0;
  if (external != (size > kInlineBytes)) {
    return in.fail(counted(size, "byte") +
                   (external ? " in a frame of its own" : " inside frame 0") +
                   ", where the limit of frame 0 is " + std::to_string(kInlineBytes));
  }
  if (!external) {
    if (size > in.left()) return in.fail_missing(size - in.left());
    bytes = in.take_bytes(static_cast<std::size_t>(size));
    return true;
  }
  if (in.frames_left() == 0) return in.fail("its frame is missing");
  bytes = in.take_frame();
  if (bytes.size() == size) return true;
  return in.fail("its frame has " + std::to_string(bytes.size()) + " bytes, not the announced " +
                 std::to_string(size));
}

bool read_u32(Reader& in, std::uint32_t& value) {
  std::uint64_t wide = 0;
  if (!in.varint(wide)) return false;
  if (wide > std::numeric_limits<std::uint32_t>::max()) {
    return in.fail(std::to_string(wide) + " does not fit 32 bits");
  }
  value = static_cast<std::uint32_t>(wide);
  return true;
}

bool read_layout(Reader& in, ItemLayout& layout) {
  std::uint64_t head = 0;
  if (!in.varint(head)) return false;
  layout.count = head >> 1;
  if (layout.count > kMaxItemsPerChunk) {
    return in.fail(std::to_string(layout.count) + " items, above the limit of " +
                       std::to_string(kMaxItemsPerChunk),
                   RejectReason::kOverLimit);
  }
  if ((head & kUniform) != 0) return read_u32(in, layout.stride);
  if (layout.count == 0) return in.fail("no items, yet a list of sizes");
  if (layout.count > in.left()) return in.fail_missing(layout.count - in.left());
  layout.sizes.resize(static_cast<std::size_t>(layout.count));
  for (auto& size : layout.sizes) {
    if (!read_u32(in, size)) return false;
  }
  return true;
}

bool read_items(Reader& in, Items& items) {
  if (!read_layout(in, items.layout)) return false;
  if (!read_bytes(in, items.payload)) return false;
  // At most 2^22 items of less than 2^32 bytes: the sum cannot overflow.
  const std::uint64_t expected = items.layout.total_bytes();
  if (items.payload.size() == expected) return true;
  return in.fail("a payload of " + std::to_string(items.payload.size()) +
                 " bytes, where the layout says " + std::to_string(expected));
}

template <class T>
bool read(Reader& in, T& value) {
  if constexpr (std::same_as<T, bool> || std::is_enum_v<T>) {
    std::uint8_t byte = 0;
    if (!in.u8(byte)) return false;
    std::uint8_t last = 1;
    if constexpr (std::is_enum_v<T>) last = last_of(T{});
    if (byte > last) {
      return in.fail("the value " + std::to_string(byte) + ", above the last known one, " +
                     std::to_string(last));
    }
    value = static_cast<T>(byte);
    return true;
  } else if constexpr (std::same_as<T, std::uint32_t>) {
    return read_u32(in, value);
  } else if constexpr (std::same_as<T, std::uint64_t>) {
    return in.varint(value);
  } else if constexpr (kIsRandomId<T>) {
    return in.fixed64(value.value);
  } else if constexpr (kIsId<T>) {
    return in.varint(value.value);
  } else if constexpr (std::same_as<T, JobId>) {
    return in.fixed64(value.client.value) && in.varint(value.number);
  } else if constexpr (std::same_as<T, FunctionKey>) {
    return read_u32(in, value.module) && in.varint(value.offset);
  } else if constexpr (std::same_as<T, ProgramId>) {
    return in.raw(value.hash);
  } else if constexpr (std::same_as<T, std::string>) {
    return read_text(in, value);
  } else if constexpr (std::same_as<T, Bytes>) {
    return read_bytes(in, value);
  } else if constexpr (std::same_as<T, Items>) {
    return read_items(in, value);
  } else if constexpr (kIsOptional<T>) {
    bool present = false;
    if (!read(in, present)) return false;
    return !present || read(in, value.emplace());
  } else if constexpr (kIsVector<T>) {
    using Element = typename T::value_type;
    std::uint64_t count = 0;
    if (!in.varint(count)) return false;
    // Before anything is allocated: a count costs its sender at least the bytes of its elements.
    if (count > in.left() / minimum_bytes<Element>()) {
      return in.fail(std::to_string(count) + " entries announced, where " +
                     std::to_string(in.left()) + " bytes are left");
    }
    value.resize(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (!read(in, value[i])) {
        in.within("[" + std::to_string(i) + "]");
        return false;
      }
    }
    return true;
  } else {
    static_assert(HasFields<T>, "the codec does not know this type");
    bool ok = true;
    T::fields(value, [&](const char* name, auto& field) {
      if (!ok) return;
      ok = read(in, field);
      if (!ok) in.within(name);
    });
    if (!ok) return false;
    const char* flaw = flaw_in(value);
    return flaw == nullptr || in.fail(flaw);
  }
}

// ---- by type --------------------------------------------------------------------------------

template <class T>
bool read_message(Reader& in, Message& message) {
  return read(in, message.emplace<T>());
}

using ReadFunction = bool (*)(Reader&, Message&);

template <std::size_t... index>
constexpr auto make_readers(std::index_sequence<index...>) {
  std::array<ReadFunction, 256> readers{};
  ((readers[static_cast<std::size_t>(std::variant_alternative_t<index, Message>::kType)] =
        &read_message<std::variant_alternative_t<index, Message>>),
   ...);
  return readers;
}
constexpr auto kReaders = make_readers(std::make_index_sequence<std::variant_size_v<Message>>());

std::string version_sentence(std::uint8_t theirs) {
  return "The peer speaks version " + std::to_string(theirs) +
         " of the protocol, this side speaks version " + std::to_string(kProtocolVersion) +
         " (achilles " + std::string(kLibraryVersion) +
         "): install the same release of achilles on both sides.";
}

}  // namespace

Frames encode(const Message& message) {
  Encoder out;
  out.external.reserve(1);
  out.external.emplace_back();  // Frame 0 takes this place once it is complete.
  out.header.raw(kMagic);
  out.header.u8(kProtocolVersion);
  out.header.u8(static_cast<std::uint8_t>(type_of(message)));
  std::visit([&out](const auto& m) { write(out, m); }, message);
  check(out.header.size() <= kMaxHeaderBytes, "A message that is sent exceeds kMaxHeaderBytes.");
  check(out.external.size() <= kMaxFrames, "A message that is sent exceeds kMaxFrames.");
  out.external.front() = std::move(out.header).take();
  return std::move(out.external);
}

std::variant<Message, Malformed> decode(std::span<const Bytes> frames) {
  if (frames.empty()) return Malformed{RejectReason::kMalformed, "A message without frames."};
  if (frames.size() > kMaxFrames || frames[0].size() > kMaxHeaderBytes) {
    return Malformed{RejectReason::kOverLimit,
                     "A message of " + std::to_string(frames.size()) + " frames, the first of " +
                         std::to_string(frames[0].size()) + " bytes: above the limits."};
  }
  const std::string_view start = frames[0].text();
  if (start.size() < kPrefixBytes || !start.starts_with(kMagic)) {
    return Malformed{RejectReason::kMalformed, "These bytes are no message of achilles."};
  }
  const auto version = static_cast<std::uint8_t>(start[kMagic.size()]);
  if (version != kProtocolVersion) {
    return Malformed{RejectReason::kWrongVersion, version_sentence(version)};
  }
  const auto type = static_cast<std::uint8_t>(start[kMagic.size() + 1]);
  const ReadFunction read_fields = kReaders[type];
  if (read_fields == nullptr) {
    return Malformed{RejectReason::kMalformed,
                     "There is no message of type " + std::to_string(type) + "."};
  }
  Reader in(frames, kPrefixBytes);
  Message message;
  bool ok = read_fields(in, message);
  if (ok && in.left() > 0) ok = in.fail(counted(in.left(), "byte") + " too many");
  if (ok && in.frames_left() > 0) ok = in.fail(counted(in.frames_left(), "frame") + " too many");
  if (ok) return message;
  return Malformed{in.reason(),
                   std::string(name_of(static_cast<MessageType>(type))) + ": " + in.failure()};
}

std::string_view name_of(MessageType type) {
  switch (type) {
    case MessageType::kHello:
      return "HELLO";
    case MessageType::kWelcome:
      return "WELCOME";
    case MessageType::kRejected:
      return "REJECTED";
    case MessageType::kHeartbeat:
      return "HEARTBEAT";
    case MessageType::kBye:
      return "BYE";
    case MessageType::kPart:
      return "PART";
    case MessageType::kPartsTaken:
      return "PARTS_TAKEN";
    case MessageType::kPartsDropped:
      return "PARTS_DROPPED";
    case MessageType::kOpenJob:
      return "OPEN_JOB";
    case MessageType::kCloseJob:
      return "CLOSE_JOB";
    case MessageType::kJobWindow:
      return "JOB_WINDOW";
    case MessageType::kSubmit:
      return "SUBMIT";
    case MessageType::kResultCredit:
      return "RESULT_CREDIT";
    case MessageType::kJobFailed:
      return "JOB_FAILED";
    case MessageType::kKeepJobs:
      return "KEEP_JOBS";
    case MessageType::kAccepted:
      return "ACCEPTED";
    case MessageType::kWorkerState:
      return "WORKER_STATE";
    case MessageType::kAssign:
      return "ASSIGN";
    case MessageType::kGrant:
      return "GRANT";
    case MessageType::kResults:
      return "RESULTS";
    case MessageType::kResultReady:
      return "RESULT_READY";
    case MessageType::kCrashed:
      return "CRASHED";
    case MessageType::kReturned:
      return "RETURNED";
    case MessageType::kProgramRefused:
      return "PROGRAM_REFUSED";
    case MessageType::kHolding:
      return "HOLDING";
    case MessageType::kRevoke:
      return "REVOKE";
    case MessageType::kRecall:
      return "RECALL";
    case MessageType::kNeedProgram:
      return "NEED_PROGRAM";
    case MessageType::kProgramPart:
      return "PROGRAM_PART";
    case MessageType::kTaskReady:
      return "TASK_READY";
    case MessageType::kStatusRequest:
      return "STATUS_REQUEST";
    case MessageType::kStatusReply:
      return "STATUS_REPLY";
    case MessageType::kWhyRequest:
      return "WHY_REQUEST";
    case MessageType::kWhyReply:
      return "WHY_REPLY";
  }
  return "UNKNOWN";
}

MessageType type_of(const Message& message) {
  return std::visit([](const auto& m) { return std::decay_t<decltype(m)>::kType; }, message);
}

}  // namespace achilles::protocol
