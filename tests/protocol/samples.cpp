#include "tests/protocol/samples.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "protocol/limits.hpp"

namespace achilles::protocol::samples {
namespace {

constexpr ClientId kClient{0x7f3a9c2101020304};
constexpr JobId kJob{kClient, 4};

ProgramId program() {
  ProgramId id;
  for (std::size_t i = 0; i < id.hash.size(); ++i)
    id.hash[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return id;
}

Bytes pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return Bytes::own(std::move(bytes));
}

Items uniform(std::uint64_t count, std::uint32_t stride) {
  return {{count, stride, {}}, pattern(count * stride)};
}

Items ragged(std::vector<std::uint32_t> sizes) {
  ItemLayout layout;
  layout.count = sizes.size();
  layout.sizes = std::move(sizes);
  const std::uint64_t bytes = layout.total_bytes();
  return {std::move(layout), pattern(bytes)};
}

ErrorRecord crash() {
  return {ErrorKind::kTaskCrashed,
          {},
          "n3",
          "node3",
          4711,
          3,
          "signal 9 (Killed)",
          "tail\nof stderr",
          {"signal 11 (Segmentation fault) at worker n1 on node1, pid 7", ""}};
}

ErrorRecord exception() {
  return {ErrorKind::kUserException,
          {{"std::runtime_error", "outer"}, {"my::Error", "größer"}},
          "n3",
          "node3",
          4711,
          0,
          "",
          "",
          {}};
}

}  // namespace

std::vector<Sample> golden() {
  const SessionId session{0x1122334455667788};
  const BootId boot{0x8877665544332211};
  std::vector<Sample> all;
  const auto add = [&all](std::string name, Message message) {
    all.push_back({std::move(name), std::move(message)});
  };
  add("hello", Hello{Role::kWorker, 0xfedcba9876543210, 2, "n3", "node3", 4711, "0.1.0"});
  add("welcome", Welcome{boot, session, 2, 1000, kMaxPayloadBytes, 4, 32, 64, 65536});
  add("rejected", Rejected{RejectReason::kUnknownSession, "Say HELLO again."});
  add("heartbeat", Heartbeat{session});
  add("bye", Bye{"done"});
  add("part", Part{3, {60, 1 << 20}, 0, pattern(60)});
  add("part_external", Part{3, {}, 60, pattern(kInlineBytes + 1)});
  add("parts_taken", PartsTaken{5'000'000'000});
  add("parts_dropped", PartsDropped{3});
  add("open_job",
      OpenJob{
          kJob, program(), {0, 0x123456}, Bytes::copy("captured"), "square", 3, 1 << 20, 0, true});
  add("open_job_external",
      OpenJob{kJob, program(), {1, 5}, pattern(kInlineBytes + 1), "λ", 0, 0, 17, false});
  add("close_job", CloseJob{kJob});
  add("job_window", JobWindow{kJob, 128, 8U << 20, 32});
  add("submit", Submit{kJob, {{0, uniform(3, 8)}, {3, ragged({0, 1, 300})}, {6, uniform(2, 0)}}});
  add("submit_external", Submit{kJob, {{7, uniform(1, 5000)}, {8, uniform(1, 4096)}}});
  add("submit_empty", Submit{kJob, {}});
  add("result_credit", ResultCredit{kJob, 1'000'000, std::nullopt});
  add("result_credit_wanted", ResultCredit{kJob, 1'000'000, 77});
  add("job_failed",
      JobFailed{kJob, {ErrorKind::kProgramRefused, {}, "", "", 0, 0, "needs X", "", {}}});
  add("keep_jobs", KeepJobs{{kJob, {kClient, 300}}});
  add("accepted", Accepted{{{300}, {301}, {1'000'000}}});
  add("worker_state", WorkerState{8, 4096, 64U << 20, true});
  add("assign",
      Assign{{{kJob, {300}, 1 << 20, {3, uniform(4, 4)}}, {kJob, {301}, 0, {7, ragged({2, 5})}}}});
  add("grant", Grant{{300}});
  add("results", Results{{{kJob, {300}, 3, 123'456'789, uniform(4, 4), {}},
                          {kJob, {301}, 7, 1000, ragged({0, 5}), {{7, exception()}}}}});
  add("result_ready", ResultReady{{300}, 5'000'000'000, 123});
  add("crashed", Crashed{{300}, 5, crash()});
  add("returned", Returned{{{300}, {301}, {1'000'000}}});
  add("program_refused", ProgramRefused{program(), "needs GLIBCXX_3.4.31, has 3.4.30"});
  add("holding", Holding{{{kJob, {300}, 3, 4, 0}, {kJob, {301}, 7, 2, 5000}}, false});
  add("revoke", Revoke{{{300}, {301}}});
  add("recall", Recall{{{300}, {301}}});
  add("need_program", NeedProgram{program(), 3 * kPartBytes});
  add("program_part", ProgramPart{program(), 10, 0, pattern(10)});
  add("task_ready", TaskReady{program(), 0x0123456789abcdef, 4711});
  add("status_request", StatusRequest{});
  add("status_reply", StatusReply{boot,
                                  "head",
                                  99,
                                  "0.1.0",
                                  123'456,
                                  1,
                                  2,
                                  {{{5}, "n3", "node3", 4711, 8, 16, 1000, 1, "ready"}},
                                  {{kJob, "square", "demo@head:77", 10, 20, 30, 1}}});
  add("why_request", WhyRequest{"7f3a9c21/4"});
  add("why_reply",
      WhyReply{"7f3a9c21/4", {"No worker is connected."}, {"2.5 s ago: opened by demo@head:77"}});
  return all;
}

namespace {

/// Fills fields with any valid contents.
struct Filler {
  std::mt19937_64& random;
  std::size_t size;

  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random() % bound; }
  /// All magnitudes alike, so that every length of varint comes up.
  std::uint64_t number() { return random() >> below(64); }

  void fill(bool& value) { value = below(2) == 1; }
  void fill(std::uint32_t& value) { value = static_cast<std::uint32_t>(number()); }
  void fill(std::uint64_t& value) { value = number(); }
  void fill(Role& value) { value = static_cast<Role>(below(3)); }
  void fill(RejectReason& value) { value = static_cast<RejectReason>(below(6)); }
  void fill(ErrorKind& value) { value = static_cast<ErrorKind>(below(kErrorKindLast + 1)); }
  template <class Tag>
  void fill(Id<Tag>& value) {
    fill(value.value);
  }
  void fill(JobId& value) {
    fill(value.client);
    fill(value.number);
  }
  void fill(FunctionKey& value) {
    fill(value.module);
    fill(value.offset);
  }
  void fill(ProgramId& value) {
    for (auto& byte : value.hash) byte = static_cast<std::uint8_t>(random());
  }
  void fill(std::string& value) {
    value.resize(below(size + 1));
    for (auto& c : value) c = static_cast<char>(random());
  }
  void fill(Bytes& value) {
    // Often about the border between inline and external.
    value = bytes_of(below(4) == 0 ? kInlineBytes - 1 + below(3) : below(20 * size + 1));
  }
  void fill(Items& value) {
    value.layout = {};
    value.layout.count = below(size + 1);
    if (below(2) == 0) {
      value.layout.stride = static_cast<std::uint32_t>(below(40));
    } else {
      value.layout.sizes.resize(value.layout.count);
      for (auto& bytes : value.layout.sizes) bytes = static_cast<std::uint32_t>(below(300));
    }
    value.payload = bytes_of(value.layout.total_bytes());
  }
  template <class T>
  void fill(std::optional<T>& value) {
    value.reset();
    if (below(2) == 1) fill(value.emplace());
  }
  template <class T>
  void fill(std::vector<T>& value) {
    value.resize(below(size / 4 + 2));
    for (auto& element : value) fill(element);
  }
  template <class T>
    requires requires(T& value) { T::fields(value, [](const char*, auto&) {}); }
  void fill(T& value) {
    T::fields(value, [this](const char*, auto& field) { fill(field); });
    if constexpr (std::is_same_v<T, Chunk>) {
      value.first = std::min(value.first, kLastIndex - value.items.count());
    } else if constexpr (std::is_same_v<T, ChunkResult>) {
      value.first = std::min(value.first, kLastIndex - value.items.count());
      choose_errors(value);
    } else if constexpr (std::is_same_v<T, ProgramPart>) {
      value.total_bytes = below(kMaxProgramBytes + 1);
      value.bytes = bytes_of(std::min<std::uint64_t>(value.bytes.size(), value.total_bytes));
      value.offset = below(value.total_bytes - value.bytes.size() + 1);
    }
  }

 private:
  static constexpr ItemIndex kLastIndex = std::numeric_limits<ItemIndex>::max();

  Bytes bytes_of(std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    return Bytes::own(std::move(bytes));
  }
  void choose_errors(ChunkResult& result) {
    result.errors.clear();
    for (std::uint64_t i = 0; i < result.items.count(); ++i) {
      if (below(3) != 0) continue;
      if (!result.items.layout.uniform()) result.items.layout.sizes[i] = 0;
      result.errors.emplace_back().index = result.first + i;
      fill(result.errors.back().error);
    }
    result.items.payload = bytes_of(result.items.layout.total_bytes());
  }
};

template <std::size_t index = 0>
Message make(std::size_t type_index, Filler& filler) {
  if constexpr (index + 1 < std::variant_size_v<Message>) {
    if (type_index != index) return make<index + 1>(type_index, filler);
  }
  std::variant_alternative_t<index, Message> message;
  filler.fill(message);
  return message;
}

}  // namespace

Message random_message(std::mt19937_64& random, std::size_t type_index, std::size_t size) {
  Filler filler{random, size};
  return make(type_index, filler);
}

}  // namespace achilles::protocol::samples
