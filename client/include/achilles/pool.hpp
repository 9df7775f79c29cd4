// achilles::Pool: multiprocessing.Pool for C++, on one machine or on a network of them.
//
//   achilles::Pool pool;
//   for (int y : pool.imap([](int x) { return x * x; }, std::views::iota(1, 11))) …
//
// With nothing configured the Pool is embedded: task processes of this program, one per usable
// core. With $ACHILLES_BROKER or an access file, the same program uses a cluster.
//
// The program must be linked through the target achilles::achilles or the flags of achilles.pc,
// which divert main (-Wl,--wrap=main), or call achilles::init(argc, argv) first in main. A task
// process never runs main: what main sets must be captured, bound, or passed as input.
//
// Thread-safety: a Pool may be used from several threads at once; its ranges each from one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "achilles/callable.hpp"
#include "achilles/detail/job_handle.hpp"
#include "achilles/detail/registration.hpp"
#include "achilles/error.hpp"
#include "achilles/host/process_state.hpp"
#include "achilles/inputs.hpp"
#include "achilles/options.hpp"
#include "achilles/result_range.hpp"
#include "achilles/this_task.hpp"
#include "achilles/values.hpp"

namespace achilles {

/// For programs whose build cannot divert main: call it first in main. In a task process it does
/// not return. Harmless where main is diverted.
inline void init(int /*argc*/, char** /*argv*/) {
  host::enter_main();
}

class ConfiguredPool;

class Pool {
 public:
  /// Finds the cluster as PoolOptions::broker says; embedded where none is configured. Throws Error
  /// when the configuration is wrong. Does not wait for a broker: the first call does.
  Pool();
  explicit Pool(PoolOptions options);
  /// Embedded, whatever is configured; 0 slots: one per usable core.
  static Pool local(std::uint32_t slots = 0);
  static Pool connect(std::string broker);

  /// Cancels what is left and waits for its task processes to end; lazy ranges keep what they need.
  ~Pool() = default;
  Pool(Pool&&) noexcept = default;
  Pool& operator=(Pool&&) noexcept = default;

  /// All results, in input order. Throws the error of the lowest index, after cancelling the rest.
  /// Of a function without result: nothing.
  template <class F, class Range>
  auto map(F function, Range&& inputs, CallOptions options = {}) const;

  /// A lazy range of results in input order. Inputs are pulled as results are consumed.
  template <class F, class Range>
  auto imap(F function, Range&& inputs, CallOptions options = {}) const;

  /// A lazy range of results as they come.
  template <class F, class Range>
  auto imap_unordered(F function, Range&& inputs, CallOptions options = {}) const;

  /// One call.
  template <class F, class... Args>
  auto apply(F function, Args&&... args) const;

  /// The same Pool with options for its calls: pool.with({.crash_limit = 1}).apply(f, x).
  ConfiguredPool with(CallOptions options) const;

  /// Cancels everything; unfinished calls, in whatever thread, throw PoolClosed. Idempotent.
  void close();

  /// Process ids of the embedded task processes; empty on a cluster. For monitoring and tests.
  std::vector<int> task_pids() const;

 private:
  friend class ConfiguredPool;
  explicit Pool(std::shared_ptr<detail::Engine> engine) : engine_(std::move(engine)) {}

  template <class F, class Range>
  auto stream(F function, Range&& inputs, CallOptions options, bool ordered) const;
  template <class F, class... Args>
  auto apply_with(CallOptions options, F function, Args&&... args) const;

  std::shared_ptr<detail::Engine> engine_;
};

/// A Pool and the options of its calls. Keeps the Pool's cluster alive.
class ConfiguredPool {
 public:
  template <class F, class Range>
  auto map(F function, Range&& inputs) const {
    return pool_.map(std::move(function), std::forward<Range>(inputs), options_);
  }
  template <class F, class Range>
  auto imap(F function, Range&& inputs) const {
    return pool_.imap(std::move(function), std::forward<Range>(inputs), options_);
  }
  template <class F, class Range>
  auto imap_unordered(F function, Range&& inputs) const {
    return pool_.imap_unordered(std::move(function), std::forward<Range>(inputs), options_);
  }
  template <class F, class... Args>
  auto apply(F function, Args&&... args) const {
    return pool_.apply_with(options_, std::move(function), std::forward<Args>(args)...);
  }

 private:
  friend class Pool;
  ConfiguredPool(Pool pool, CallOptions options) : pool_(std::move(pool)), options_(options) {}

  Pool pool_;
  CallOptions options_;
};

namespace detail {

/// What the items of a range arrive as at the function.
template <class Range>
using item_t = stored_t<std::ranges::range_value_t<Range>>;

template <class F, class A>
consteval void check_call() {
  check_callable<F>();
  static_assert(
      Encodable<A>::value,
      "achilles: items of this type cannot be sent; give the struct MSGPACK_DEFINE(members...) and "
      "a default constructor, or set achilles::has_msgpack_adaptor for a type with adaptors of its "
      "own");
  static_assert(
      std::is_invocable_v<const F&, A>,
      "achilles: the function cannot be called with the range's items; it is called as const "
      "and gets each item as a value (std::string for std::string_view)");
}

template <class F, class A>
consteval void check_result() {
  static_assert(Encodable<result_t<F, A>>::value,
                "achilles: the function's result cannot be sent back; give the struct "
                "MSGPACK_DEFINE(members...) and a default constructor, or return something made of "
                "standard types");
}

template <class F, class A>
JobRequest make_request(const F& function, CallOptions options, bool ordered) {
  JobRequest request;
  request.record = &record_of<F, A>();
  encode_callable(request.context, function);
  request.captured = Captured<F>::in(request.context);  // Moving the request does not move these.
  request.options = options;
  request.ordered = ordered;
  return request;
}

template <class F, class A, class R, class View>
auto make_stream(const std::shared_ptr<Engine>& engine, const F& function, View view,
                 CallOptions options, bool ordered) {
  JobRequest request = make_request<F, A>(function, options, ordered);
  if constexpr (std::ranges::sized_range<View>) {
    request.item_count = static_cast<std::uint64_t>(std::ranges::size(view));
  }
  auto pump = std::make_shared<InputPump<A, View>>(std::move(view));
  return std::make_shared<ResultStream<R>>(
      engine, std::move(request), [pump](JobHandle& job) { pump->pull(job); },
      [pump] { return pump->failure(); });
}

/// apply's arguments, each with its size before it.
template <class... Args>
void encode_arguments(std::vector<std::byte>& out, const Args&... args) {
  (append_part(out, [&] { encode_value(out, args); }), ...);
}

/// The one item of a call of apply, already encoded.
template <class F, class A, class R>
auto apply_stream(const std::shared_ptr<Engine>& engine, const F& function,
                  std::vector<std::byte> input, CallOptions options) {
  JobRequest request = make_request<F, A>(function, options, true);
  request.item_count = 1;
  return std::make_shared<ResultStream<R>>(
      engine, std::move(request),
      [input = std::move(input)](JobHandle& job) mutable {
        {
          auto& open = job.open_chunk();
          const std::lock_guard lock(open.mutex);
          open.items.buffer() = std::move(input);
          open.fits(0);
          open.items.end_item();
        }
        job.submit();
        job.end_input();
      },
      [] { return std::exception_ptr(); });
}

}  // namespace detail

template <class F, class Range>
auto Pool::stream(F function, Range&& inputs, CallOptions options, bool ordered) const {
  static_assert(
      std::ranges::input_range<Range> && std::ranges::viewable_range<Range>,
      "achilles: the inputs must be a range: a container, a view, an array; one that cannot be "
      "copied must be moved in (std::move(inputs))");
  using View = std::views::all_t<Range>;
  using A = detail::item_t<View>;
  detail::check_call<F, A>();
  using R = detail::result_t<F, A>;
  detail::check_result<F, A>();
  return detail::make_stream<F, A, R, View>(
      engine_, function, std::views::all(std::forward<Range>(inputs)), options, ordered);
}

template <class F, class Range>
auto Pool::imap(F function, Range&& inputs, CallOptions options) const {
  auto results = stream(std::move(function), std::forward<Range>(inputs), options, true);
  using R = typename decltype(results)::element_type::Result;
  return ResultRange<R>(std::move(results));
}

template <class F, class Range>
auto Pool::imap_unordered(F function, Range&& inputs, CallOptions options) const {
  auto results = stream(std::move(function), std::forward<Range>(inputs), options, false);
  using R = typename decltype(results)::element_type::Result;
  return ResultRange<R>(std::move(results));
}

template <class F, class Range>
auto Pool::map(F function, Range&& inputs, CallOptions options) const {
  auto results = stream(std::move(function), std::forward<Range>(inputs), options, true);
  using R = typename decltype(results)::element_type::Result;
  if constexpr (std::same_as<R, std::monostate>) {
    while (results->advance()) results->current();
  } else {
    std::vector<R> values;
    if constexpr (std::ranges::sized_range<Range>) values.reserve(std::ranges::size(inputs));
    results->collect(values);
    return values;
  }
}

template <class F, class... Args>
auto Pool::apply(F function, Args&&... args) const {
  return apply_with(CallOptions{}, std::move(function), std::forward<Args>(args)...);
}

template <class F, class... Args>
auto Pool::apply_with(CallOptions options, F function, Args&&... args) const {
  using A = detail::Arguments<stored_t<Args>...>;
  detail::check_callable<F>();
  static_assert((detail::Encodable<stored_t<Args>>::value && ...),
                "achilles: an argument cannot be sent; give its struct MSGPACK_DEFINE(members...) "
                "and a default constructor");
  static_assert(
      std::is_invocable_v<const F&, stored_t<Args>...>,
      "achilles: the function cannot be called with these arguments; it is called as const "
      "and gets each argument as a value");
  using R = detail::result_t<F, A>;
  detail::check_result<F, A>();
  std::vector<std::byte> input;
  detail::encode_arguments(input, args...);
  auto results = detail::apply_stream<F, A, R>(engine_, function, std::move(input), options);
  results->advance();
  auto& result = results->current().value;
  if constexpr (!std::same_as<R, std::monostate>) return R(std::move(result));
}

}  // namespace achilles
