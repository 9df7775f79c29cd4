// For each callable F and input type A: a thunk, and its record in the program's function table.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "achilles/callable.hpp"
#include "achilles/detail/item_view.hpp"
#include "achilles/host/chunk_call.hpp"
#include "achilles/host/function_table.hpp"
#include "achilles/values.hpp"

namespace achilles::detail {

/// A type's name without run-time type information.
template <class T>
constexpr std::string_view type_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::string_view kBefore = "T = ";
  const auto begin = text.find(kBefore) + kBefore.size();
  auto end = text.find(';', begin);
  if (end == std::string_view::npos) end = text.rfind(']');
  return text.substr(begin, end - begin);
}

/// How an item is given to a function.
template <class F, class A>
struct Invocation {
  using raw_result = std::invoke_result_t<const F&, A>;
  /// With the item, or with a view of it.
  template <class Input>
  static raw_result call(const F& function, Input&& input) {
    return std::invoke(function, std::forward<Input>(input));
  }
};

/// The input of apply(f, args…), called with each of them: its own type, so that a function of one
/// tuple is not mistaken for it.
template <class... Args>
struct Arguments {
  std::tuple<Args...> values;
};
template <class F, class... Args>
struct Invocation<F, Arguments<Args...>> {
  using raw_result = std::invoke_result_t<const F&, Args...>;
  static raw_result call(const F& function, Arguments<Args...>&& input) {
    return std::apply(
        [&](Args&... args) -> raw_result { return std::invoke(function, std::move(args)...); },
        input.values);
  }
};

template <class A>
struct InputDecoder {
  static A decode(std::span<const std::byte> bytes) { return decode_value<A>(bytes); }
};
template <class... Args>
struct InputDecoder<Arguments<Args...>> {
  static Arguments<Args...> decode([[maybe_unused]] std::span<const std::byte> bytes) {
    return {std::tuple<Args...>{decode_value<Args>(take_part(bytes))...}};
  }
};

template <class F, class A>
using result_t =
    std::conditional_t<std::is_void_v<typename Invocation<F, A>::raw_result>, std::monostate,
                       stored_t<typename Invocation<F, A>::raw_result>>;

/// Calls the function, and encodes what it returns.
template <class F, class A, class Input>
void call_with(host::ChunkCall& call, const F& function, Input&& input) {
  using Stage = host::ChunkCall::Stage;
  call.enter(Stage::kCall);
  if constexpr (std::is_void_v<typename Invocation<F, A>::raw_result>) {
    Invocation<F, A>::call(function, std::forward<Input>(input));
    call.enter(Stage::kEncodeResult);
  } else {
    decltype(auto) result = Invocation<F, A>::call(function, std::forward<Input>(input));
    call.enter(Stage::kEncodeResult);
    encode_value(call.results().buffer(), std::as_const(result));
  }
}

template <class F, class A>
void run_item(host::ChunkCall& call, const F& function) {
  call.enter(host::ChunkCall::Stage::kDecodeInput);
  if constexpr (TakesView<F, A>) {
    if (auto view = view_in_place<A>(call.input())) {
      return call_with<F, A>(call, function, *std::move(view));
    }
  }
  call_with<F, A>(call, function, InputDecoder<A>::decode(call.input()));
}

/// Runs a chunk inside the task process.
template <class F, class A>
void run_chunk(host::ChunkCall& call) {
  while (call.begin_item()) {
    try {
      if (!call.state()) {
        call.enter(host::ChunkCall::Stage::kDecodeContext);
        call.state() = std::make_shared<F>(CallableDecoder<F>::decode(call.context()));
      }
      run_item<F, A>(call, *static_cast<const F*>(call.state().get()));
      call.end_item();
    } catch (...) {
      call.fail_item();
    }
  }
}

template <class F, class A>
struct Registration {
  static constinit inline host::FunctionRecord record{&run_chunk<F, A>, type_name<F>()};
  static inline const bool linked = host::link_record(record);
};

/// The function's record. Being mentioned here puts it into the table before main.
template <class F, class A>
const host::FunctionRecord& record_of() {
  (void)&Registration<F, A>::linked;
  return Registration<F, A>::record;
}

}  // namespace achilles::detail
