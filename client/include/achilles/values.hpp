// Values on their way to a task process and back: how inputs, bound values and results are encoded.
//
// Numbers and enums, and vectors and arrays of them, travel as their bytes, so that floating-point
// values arrive bit for bit. All else travels as MessagePack: standard containers, strings, pairs,
// tuples, optionals, and structs that say MSGPACK_DEFINE(members…). Views become owners on the way
// (std::string_view arrives as std::string, std::span<T> as std::vector<T>).
//
// Inside containers a signalling NaN of type float arrives quiet; all other values arrive bit for
// bit.
//
// Thread-safety: functions without shared state. Errors: decode throws std::invalid_argument or a
// msgpack exception when the bytes are not a T.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#ifndef MSGPACK_NO_BOOST
#define MSGPACK_NO_BOOST
#endif
#include <msgpack.hpp>

namespace achilles::detail {

static_assert(
    std::endian::native == std::endian::little,
    "achilles encodes numbers as little-endian bytes: big-endian machines are not supported");

/// Where MessagePack bytes are appended.
struct Sink {
  std::vector<std::byte>* bytes;
  void write(const char* data, std::size_t size) {
    const auto* from = reinterpret_cast<const std::byte*>(data);
    bytes->insert(bytes->end(), from, from + size);
  }
};

template <class Number>
void write_big_endian(Sink& sink, unsigned char tag, Number number) {
  char out[1 + sizeof number];
  out[0] = static_cast<char>(tag);
  for (std::size_t i = 0; i < sizeof number; ++i) {
    out[1 + i] = static_cast<char>(number >> (8 * (sizeof number - 1 - i)));
  }
  sink.write(out, sizeof out);
}

}  // namespace achilles::detail

// msgpack packs integral floating-point values as integers, which loses the sign of -0.0. For our
// sink, wherever a float stands (containers, tuples, MSGPACK_DEFINE), it keeps its bits.
namespace msgpack {
MSGPACK_API_VERSION_NAMESPACE(v1) {
  template <>
  inline packer<achilles::detail::Sink>& packer<achilles::detail::Sink>::pack_float(float value) {
    achilles::detail::write_big_endian(m_stream, 0xCA, std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  template <>
  inline packer<achilles::detail::Sink>& packer<achilles::detail::Sink>::pack_double(double value) {
    achilles::detail::write_big_endian(m_stream, 0xCB, std::bit_cast<std::uint64_t>(value));
    return *this;
  }
}  // namespace v1

MSGPACK_API_VERSION_NAMESPACE(MSGPACK_DEFAULT_API_NS) {
  namespace adaptor {
  // Enums without MSGPACK_ADD_ENUM travel as their underlying integers.
  template <class T>
  struct pack<T, std::enable_if_t<std::is_enum_v<T>>> {
    template <class Stream>
    packer<Stream>& operator()(packer<Stream>& out, const T& value) const {
      return out.pack(static_cast<std::underlying_type_t<T>>(value));
    }
  };
  template <class T>
  struct convert<T, std::enable_if_t<std::is_enum_v<T>>> {
    const msgpack::object& operator()(const msgpack::object& in, T& value) const {
      value = static_cast<T>(in.as<std::underlying_type_t<T>>());
      return in;
    }
  };
  template <>
  struct pack<std::filesystem::path> {
    template <class Stream>
    packer<Stream>& operator()(packer<Stream>& out, const std::filesystem::path& path) const {
      return out.pack(path.string());
    }
  };
  template <>
  struct convert<std::filesystem::path> {
    const msgpack::object& operator()(const msgpack::object& in,
                                      std::filesystem::path& path) const {
      path = in.as<std::string>();
      return in;
    }
  };
  }  // namespace adaptor
}
}  // namespace msgpack

namespace achilles {

/// Set to true for a type that has msgpack adaptors (msgpack::adaptor::pack and convert) written
/// outside of it: template <> inline constexpr bool achilles::has_msgpack_adaptor<MyType> = true;
template <class T>
inline constexpr bool has_msgpack_adaptor = false;

namespace detail {

template <class T>
struct Stored {
  using type = std::remove_cvref_t<T>;
};
template <class T>
  requires std::same_as<std::decay_t<T>, const char*> || std::same_as<std::decay_t<T>, char*> ||
           std::same_as<std::remove_cvref_t<T>, std::string_view>
struct Stored<T> {
  using type = std::string;
};
template <class T, std::size_t N>
struct Stored<std::span<T, N>> {
  using type = std::vector<std::remove_cv_t<T>>;
};
template <class T, std::size_t N>
struct Stored<const std::span<T, N>&> : Stored<std::span<T, N>> {};
template <class T, std::size_t N>
struct Stored<std::span<T, N>&> : Stored<std::span<T, N>> {};
// What a map iterates over: as items, its keys need not be constant.
template <class K, class V>
struct Stored<std::pair<const K, V>> {
  using type = std::pair<K, V>;
};
template <class K, class V>
struct Stored<std::pair<const K, V>&> : Stored<std::pair<const K, V>> {};
template <class K, class V>
struct Stored<const std::pair<const K, V>&> : Stored<std::pair<const K, V>> {};

}  // namespace detail

/// What a value of type T is at the other end: without references, views replaced by owners.
template <class T>
using stored_t = typename detail::Stored<T>::type;

namespace detail {

template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class T>
concept FlatScalar = Scalar<T> && !std::same_as<T, bool>;

template <class T>
inline constexpr bool is_flat_vector = false;
template <FlatScalar T, class Allocator>
inline constexpr bool is_flat_vector<std::vector<T, Allocator>> = true;
template <class T>
inline constexpr bool is_flat_array = false;
template <FlatScalar T, std::size_t N>
inline constexpr bool is_flat_array<std::array<T, N>> = true;

template <class T>
inline constexpr bool always_false = false;

/// A struct with MSGPACK_DEFINE. Decoding makes one first, and then fills it in.
template <class T>
concept Packable = std::default_initializable<T> &&
                   requires(const T& value, T& target, const msgpack::object& object,
                            msgpack::packer<Sink>& packer) {
                     value.msgpack_pack(packer);
                     target.msgpack_unpack(object);
                   };

/// Whether T can travel, looked up by the standard templates' arguments.
template <class T>
struct Encodable : std::bool_constant<Scalar<T> || has_msgpack_adaptor<T> || Packable<T>> {};
template <class... Ts>
struct AllEncodable : std::bool_constant<(Encodable<Ts>::value && ...)> {};

template <class A>
struct Encodable<std::basic_string<char, std::char_traits<char>, A>> : std::true_type {};
template <>
struct Encodable<std::byte> : std::true_type {};
template <>
struct Encodable<std::monostate> : std::true_type {};
template <>
struct Encodable<std::filesystem::path> : std::true_type {};
template <class T, std::size_t N>
struct Encodable<std::array<T, N>> : Encodable<T> {};
template <class T>
struct Encodable<std::optional<T>> : Encodable<T> {};
template <class T, class D>
struct Encodable<std::unique_ptr<T, D>> : Encodable<T> {};
template <class T>
struct Encodable<std::shared_ptr<T>> : Encodable<T> {};
template <class T, class A>
struct Encodable<std::vector<T, A>> : Encodable<T> {};
template <class T, class A>
struct Encodable<std::deque<T, A>> : Encodable<T> {};
template <class T, class A>
struct Encodable<std::list<T, A>> : Encodable<T> {};
template <class T, class A>
struct Encodable<std::forward_list<T, A>> : Encodable<T> {};
template <class T, class... Rest>
struct Encodable<std::set<T, Rest...>> : Encodable<T> {};
template <class T, class... Rest>
struct Encodable<std::multiset<T, Rest...>> : Encodable<T> {};
template <class T, class... Rest>
struct Encodable<std::unordered_set<T, Rest...>> : Encodable<T> {};
template <class T, class... Rest>
struct Encodable<std::unordered_multiset<T, Rest...>> : Encodable<T> {};
template <class K, class V, class... Rest>
struct Encodable<std::map<K, V, Rest...>> : AllEncodable<K, V> {};
template <class K, class V, class... Rest>
struct Encodable<std::multimap<K, V, Rest...>> : AllEncodable<K, V> {};
template <class K, class V, class... Rest>
struct Encodable<std::unordered_map<K, V, Rest...>> : AllEncodable<K, V> {};
template <class K, class V, class... Rest>
struct Encodable<std::unordered_multimap<K, V, Rest...>> : AllEncodable<K, V> {};
template <class A, class B>
struct Encodable<std::pair<A, B>> : AllEncodable<std::remove_cv_t<A>, std::remove_cv_t<B>> {};
template <class... Ts>
struct Encodable<std::tuple<Ts...>> : AllEncodable<Ts...> {};

inline void append_bytes(std::vector<std::byte>& out, const void* data, std::size_t size) {
  const auto* from = static_cast<const std::byte*>(data);
  out.insert(out.end(), from, from + size);
}

[[noreturn]] inline void throw_wrong_size(std::size_t size, std::size_t expected) {
  throw std::invalid_argument("a value of " + std::to_string(size) + " bytes came where " +
                              std::to_string(expected) +
                              " bytes were expected: do client and task run the same program?");
}

/// Appends the encoding of `value`. Throws what the value's own msgpack_pack throws.
template <class T>
void encode_value(std::vector<std::byte>& out, const T& value) {
  if constexpr (std::same_as<stored_t<T>, std::string>) {
    const std::string_view text(value);
    append_bytes(out, text.data(), text.size());
  } else if constexpr (!std::same_as<T, stored_t<T>> && requires { std::begin(value); }) {
    encode_value(out, stored_t<T>(std::begin(value), std::end(value)));
  } else if constexpr (std::same_as<T, std::monostate>) {
    // Nothing to say.
  } else if constexpr (Scalar<T>) {
    append_bytes(out, &value, sizeof value);
  } else if constexpr (is_flat_vector<T>) {
    append_bytes(out, value.data(), value.size() * sizeof(typename T::value_type));
  } else if constexpr (is_flat_array<T>) {
    append_bytes(out, value.data(), sizeof value);
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    encode_value(out, value.string());
  } else {
    Sink sink{&out};
    msgpack::packer<Sink> packer(sink);
    packer.pack(value);
  }
}

template <class T>
T decode_messagepack(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  const std::size_t size = bytes.size();
  std::size_t consumed = 0;
  // A header may claim more than there is: nothing larger than the bytes at hand is believed.
  const msgpack::unpack_limit limit(size, size, size, size, size, 512);
  const auto handle = msgpack::unpack(data, size, consumed, nullptr, nullptr, limit);
  if (consumed != size) throw_wrong_size(size, consumed);
  return handle.get().as<T>();
}

/// The inverse of encode_value. Throws when the bytes are not a T.
template <class T>
T decode_value(std::span<const std::byte> bytes) {
  if constexpr (std::same_as<T, std::monostate>) {
    if (!bytes.empty()) throw_wrong_size(bytes.size(), 0);
    return {};
  } else if constexpr (Scalar<T> || is_flat_array<T>) {
    if (bytes.size() != sizeof(T)) throw_wrong_size(bytes.size(), sizeof(T));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  } else if constexpr (is_flat_vector<T>) {
    using Element = typename T::value_type;
    if (bytes.size() % sizeof(Element) != 0) throw_wrong_size(bytes.size(), sizeof(Element));
    const std::size_t count = bytes.size() / sizeof(Element);
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(Element) == 0) {
      // Copied into memory that was not set to zero first.
      const auto* elements = reinterpret_cast<const Element*>(bytes.data());
      return T(elements, elements + count);
    }
    T value(count);
    std::memcpy(value.data(), bytes.data(), bytes.size());
    return value;
  } else if constexpr (std::same_as<T, std::string>) {
    return T(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    return T(decode_value<std::string>(bytes));
  } else {
    return decode_messagepack<T>(bytes);
  }
}

}  // namespace detail
}  // namespace achilles
