// Digest: a running number of all that was said. Two runs that differ anywhere differ in it from
// there on.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "protocol/messages.hpp"
#include "tests/sim/random.hpp"

namespace achilles::sim {

class Digest {
 public:
  void add(std::uint64_t number) { value_ = mixed(value_ ^ number) + 0x9E3779B97F4A7C15ULL; }
  void add(const p::Message& message) {
    add(std::uint64_t{message.index()});
    std::visit([this](const auto& m) { add_fields(m); }, message);
  }
  std::uint64_t value() const { return value_; }

 private:
  template <class T>
  void add_fields(const T& value) {
    T::fields(value, [this](const char*, const auto& field) { add_value(field); });
  }
  template <class T>
  void add_value(const T& value) {
    if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      add(static_cast<std::uint64_t>(value));
    } else {
      add_fields(value);
    }
  }
  template <class Tag>
  void add_value(const p::Id<Tag>& id) {
    add(id.value);
  }
  void add_value(const p::JobId& id) {
    add(id.client.value);
    add(id.number);
  }
  void add_value(const p::ProgramId& id) { add(std::uint64_t{id.hash[0]}); }
  void add_value(const p::FunctionKey& key) { add(key.offset); }
  void add_value(const std::string& text) { add_ends(text.data(), text.size()); }
  void add_value(const p::Bytes& bytes) { add_ends(bytes.data(), bytes.size()); }
  void add_value(const p::ItemLayout& layout) {
    add(layout.count);
    add(std::uint64_t{layout.stride});
    for (const auto size : layout.sizes) add(std::uint64_t{size});
  }
  template <class T>
  void add_value(const std::optional<T>& value) {
    add(std::uint64_t{value.has_value()});
    if (value) add_value(*value);
  }
  template <class T>
  void add_value(const std::vector<T>& values) {
    add(std::uint64_t{values.size()});
    for (const auto& value : values) add_value(value);
  }
  /// The size, the first bytes and the last: what a simulated payload consists of.
  void add_ends(const void* data, std::size_t size) {
    add(std::uint64_t{size});
    if (size == 0) return;
    const std::size_t part = size < 8 ? size : 8;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::memcpy(&first, data, part);
    std::memcpy(&last, static_cast<const char*>(data) + size - part, part);
    add(first);
    add(last);
  }

  std::uint64_t value_ = 0;
};

}  // namespace achilles::sim
