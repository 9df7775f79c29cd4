// Callables that can be shipped: how a function and what it captures become bytes, and the way
// back.
//
// A lambda's code is in the program that both ends run; only its captures travel, once per job.
// They must be plain data. What is not (strings, vectors, tables) is given to achilles::bind, which
// encodes it as values are encoded.
//
// Thread-safety: functions without shared state.
#pragma once

#include <bit>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "achilles/error.hpp"
#include "achilles/host/function_pointer.hpp"
#include "achilles/values.hpp"

namespace achilles {

/// A function named at compile time: achilles::fn<&f>. Nothing travels but the job's function key,
/// and the call is inlined.
template <auto Function>
struct Fn {
  // The result is spelled out: whether it can be called is asked before it is.
  template <class... Args>
  std::invoke_result_t<decltype(Function), Args...> operator()(Args&&... args) const {
    return std::invoke(Function, std::forward<Args>(args)...);
  }
};
template <auto Function>
inline constexpr Fn<Function> fn{};

/// What achilles::bind makes: calls `function(values…, item)`.
template <class Function, class... Values>
class Bound {
 public:
  Bound(Function callable, std::tuple<Values...> bound)
      : function_(std::move(callable)), values_(std::move(bound)) {}

  template <class... Args>
  std::invoke_result_t<const Function&, const Values&..., Args...> operator()(
      Args&&... args) const {
    return std::apply(
        [&](const Values&... bound) -> decltype(auto) {
          return std::invoke(function_, bound..., std::forward<Args>(args)...);
        },
        values_);
  }
  const Function& function() const { return function_; }
  const std::tuple<Values...>& values() const { return values_; }

 private:
  Function function_;
  std::tuple<Values...> values_;
};

/// Binds values to the first parameters of a function; they are encoded and sent once per job.
/// pool.map(achilles::bind([](const Table& table, int x) { … }, table), inputs)
template <class Function, class... Values>
auto bind(Function function, Values&&... values) {
  static_assert((detail::Encodable<stored_t<Values>>::value && ...),
                "achilles::bind: a bound value cannot be sent; give its struct "
                "MSGPACK_DEFINE(members...) and "
                "a default constructor");
  return Bound<Function, stored_t<Values>...>(
      std::move(function), std::tuple<stored_t<Values>...>(std::forward<Values>(values)...));
}

namespace detail {

inline constexpr std::size_t kMaxClosureBytes = 64U << 10;

template <class F>
inline constexpr bool is_bound = false;
template <class F, class... Vs>
inline constexpr bool is_bound<Bound<F, Vs...>> = true;

template <class F>
concept FunctionPointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

template <class F>
concept PlainClosure = std::is_class_v<F> && std::is_trivially_copyable_v<F> &&
                       (std::is_empty_v<F> || std::is_standard_layout_v<F>);

template <class F>
consteval void check_callable() {
  if constexpr (is_bound<F>) {
    check_callable<std::remove_cvref_t<decltype(std::declval<const F&>().function())>>();
  } else if constexpr (!FunctionPointer<F>) {
    static_assert(std::is_class_v<F>,
                  "achilles: this cannot be called on another machine; give a lambda, a function "
                  "object, a function pointer, achilles::fn<&f> or achilles::bind(f, values...)");
    static_assert(
        PlainClosure<F>,
        "achilles: this function captures by reference, or captures something that is not "
        "plain data; use achilles::bind(f, values...), which sends the values along");
    static_assert(
        sizeof(F) <= kMaxClosureBytes,
        "achilles: this function captures more than 64 KiB; use achilles::bind(f, values...)");
  }
}

/// Appends what `encode` appends, with its size before it: encodings do not say where they end.
template <class Encode>
void append_part(std::vector<std::byte>& out, Encode encode) {
  const std::size_t size_at = out.size();
  out.resize(size_at + sizeof(std::uint64_t));
  encode();
  const std::uint64_t size = out.size() - size_at - sizeof(std::uint64_t);
  std::memcpy(out.data() + size_at, &size, sizeof size);
}

/// What lies between members is whatever was there before: old pointers, too, which are not to be
/// taken for captured ones, nor to be sent.
template <class F>
void clear_padding([[maybe_unused]] F& function) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&function);
#endif
#endif
}

/// Appends what is bound to `function`.
template <class F>
void encode_callable(std::vector<std::byte>& out, const F& function);

template <class F, class... Vs>
void encode_bound(std::vector<std::byte>& out, const Bound<F, Vs...>& bound) {
  append_part(out, [&] { encode_callable(out, bound.function()); });
  std::apply(
      [&](const Vs&... values) { (append_part(out, [&] { encode_value(out, values); }), ...); },
      bound.values());
}

template <class F>
void encode_callable(std::vector<std::byte>& out, const F& function) {
  if constexpr (FunctionPointer<F>) {
    try {
      encode_value(out, host::offset_of_function(reinterpret_cast<const void*>(function)));
    } catch (const std::invalid_argument& error) {
      throw NotShippable(std::string("achilles cannot send a function pointer: ") + error.what());
    }
  } else if constexpr (is_bound<F>) {
    encode_bound(out, function);
  } else if constexpr (!std::is_empty_v<F>) {
    F copy(function);
    clear_padding(copy);
    append_bytes(out, &copy, sizeof copy);
  }
}

inline std::span<const std::byte> take_part(std::span<const std::byte>& rest) {
  std::uint64_t size = 0;
  if (rest.size() < sizeof size) throw_wrong_size(rest.size(), sizeof size);
  std::memcpy(&size, rest.data(), sizeof size);
  rest = rest.subspan(sizeof size);
  if (rest.size() < size) throw_wrong_size(rest.size(), size);
  const auto part = rest.first(size);
  rest = rest.subspan(size);
  return part;
}

/// The captured bytes in an encoded callable, for the check that no pointer is among them: those of
/// the plain closure itself, or of the one inside achilles::bind.
template <class F>
struct Captured {
  static std::span<const std::byte> in(std::span<const std::byte> encoded) {
    if constexpr (FunctionPointer<F> || std::is_empty_v<F>) return {};
    return encoded;
  }
};
template <class F, class... Vs>
struct Captured<Bound<F, Vs...>> {
  static std::span<const std::byte> in(std::span<const std::byte> encoded) {
    return Captured<F>::in(take_part(encoded));
  }
};

template <class F>
struct CallableDecoder {
  static F decode(std::span<const std::byte> bytes) {
    if constexpr (FunctionPointer<F>) {
      return reinterpret_cast<F>(
          const_cast<void*>(host::function_at_offset(decode_value<std::uint64_t>(bytes))));
    } else {
      // A closure has no default constructor: its bytes are all there is to it.
      std::array<std::byte, sizeof(F)> storage{};
      if constexpr (!std::is_empty_v<F>) {
        if (bytes.size() != sizeof(F)) throw_wrong_size(bytes.size(), sizeof(F));
        std::memcpy(storage.data(), bytes.data(), sizeof(F));
      }
      return std::bit_cast<F>(storage);
    }
  }
};

template <class F, class... Vs>
struct CallableDecoder<Bound<F, Vs...>> {
  static Bound<F, Vs...> decode(std::span<const std::byte> bytes) {
    auto function = CallableDecoder<F>::decode(take_part(bytes));
    // Braces keep the order of evaluation: the parts follow one another.
    std::tuple<Vs...> values{decode_value<Vs>(take_part(bytes))...};
    return {std::move(function), std::move(values)};
  }
};

}  // namespace detail
}  // namespace achilles
