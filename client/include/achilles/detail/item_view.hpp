// Parameters that look straight into the chunk: a function that takes std::string_view, or
// std::span<const T> of numbers, gets no copy of its item.
//
// Only where the function has one signature, and that names the view. Any other (a generic lambda,
// one of several overloads) gets the item's owner, std::string or std::vector<T>, and decides by
// itself. What the function returns is encoded before the item goes, so it may return a part.
//
// Thread-safety: functions without shared state.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "achilles/callable.hpp"
#include "achilles/values.hpp"

namespace achilles::detail {

/// The types of the parameters, as a tuple; void where there is no one signature.
template <class F>
struct Parameters {
  using type = void;
};
template <class R, class... Ps>
struct Parameters<R (*)(Ps...)> {
  using type = std::tuple<Ps...>;
};
template <class R, class... Ps>
struct Parameters<R (*)(Ps...) noexcept> : Parameters<R (*)(Ps...)> {};
template <class R, class C, class... Ps>
struct Parameters<R (C::*)(Ps...) const> : Parameters<R (*)(Ps...)> {};
template <class R, class C, class... Ps>
struct Parameters<R (C::*)(Ps...) const noexcept> : Parameters<R (*)(Ps...)> {};
template <class F>
  requires requires { &F::operator(); }
struct Parameters<F> : Parameters<decltype(&F::operator())> {};
template <auto Function>
struct Parameters<Fn<Function>> : Parameters<decltype(Function)> {};

/// The parameter that takes the item, without const and reference: the only one, or the one after
/// the `kBefore` bound ones.
template <class Tuple, std::size_t kBefore>
struct ParameterAt {
  using type = void;
};
template <class... Ps, std::size_t kBefore>
  requires(sizeof...(Ps) == kBefore + 1)
struct ParameterAt<std::tuple<Ps...>, kBefore> {
  using type = std::remove_cvref_t<std::tuple_element_t<kBefore, std::tuple<Ps...>>>;
};
template <class F>
struct ItemParameter : ParameterAt<typename Parameters<F>::type, 0> {};
template <class F, class... Values>
struct ItemParameter<Bound<F, Values...>>
    : ParameterAt<typename Parameters<F>::type, sizeof...(Values)> {};

/// The view of an item of type A; void where there is none.
template <class A>
struct ViewOf {
  using type = void;
};
template <>
struct ViewOf<std::string> {
  using type = std::string_view;
};
template <class A>
  requires is_flat_vector<A>
struct ViewOf<A> {
  using type = std::span<const typename A::value_type>;
};

template <class F, class A>
concept TakesView = !std::is_void_v<typename ViewOf<A>::type> &&
                    std::same_as<typename ItemParameter<F>::type, typename ViewOf<A>::type> &&
                    std::is_invocable_v<const F&, typename ViewOf<A>::type>;

/// The item where it lies. Nothing where its numbers are not aligned. Throws when the bytes are no
/// A.
template <class A>
std::optional<typename ViewOf<A>::type> view_in_place(std::span<const std::byte> bytes) {
  if constexpr (std::same_as<A, std::string>) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  } else {
    using Element = typename A::value_type;
    if (bytes.size() % sizeof(Element) != 0) throw_wrong_size(bytes.size(), sizeof(Element));
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(Element) != 0) return {};
    return std::span(reinterpret_cast<const Element*>(bytes.data()),
                     bytes.size() / sizeof(Element));
  }
}

}  // namespace achilles::detail
