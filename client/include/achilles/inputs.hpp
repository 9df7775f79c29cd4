// Lazy inputs for imap: the lines of files, and the values of a generating function.
//
// Both are input ranges with move-only iterators, read once, on the thread that consumes the
// results.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "achilles/error.hpp"

namespace achilles {

/// Values of `function()` until it answers an empty optional. The function is called as results are
/// consumed, never ahead of what the Pool can take.
template <class Function>
class GenerateView : public std::ranges::view_interface<GenerateView<Function>> {
 public:
  using Value = typename std::invoke_result_t<Function&>::value_type;

 private:
  /// Apart from the view: a lambda with captures cannot be assigned to, and a view must be.
  struct State {
    Function function;
    std::optional<Value> current;
  };

 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using value_type = Value;
    explicit Iterator(State& state) : state_(&state) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;
    Value& operator*() const { return *state_->current; }
    Iterator& operator++() {
      take_next(*state_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& at, std::default_sentinel_t) {
      return !at.state_->current.has_value();
    }

   private:
    State* state_;
  };

  explicit GenerateView(Function function) : state_(new State{std::move(function), std::nullopt}) {}

  /// Calls the function for the first value. Once only: the range is read once.
  Iterator begin() {
    take_next(*state_);
    return Iterator(*state_);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  static void take_next(State& state) {
    state.current.reset();
    if (auto value = state.function()) state.current.emplace(*std::move(value));
  }

  std::unique_ptr<State> state_;
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class Function>
concept Generator = is_optional<std::invoke_result_t<Function&>>;

}  // namespace detail

template <class Function>
auto generate(Function function) {
  constexpr bool kFits = detail::Generator<Function>;
  static_assert(
      kFits,
      "achilles::generate takes a function without parameters that returns std::optional<T>");
  if constexpr (kFits) return GenerateView<Function>(std::move(function));
}

namespace detail {

/// Reads files one after another; throws Error for one that cannot be read.
class LineReader {
 public:
  explicit LineReader(std::vector<std::filesystem::path> paths) : paths_(std::move(paths)) {}
  std::optional<std::string> operator()() {
    std::string line;
    while (true) {
      if (file_.is_open()) {
        if (std::getline(file_, line)) return line;
        if (file_.bad()) throw_unreadable(paths_[next_ - 1], "reading it failed half-way");
        file_.close();
      }
      if (next_ == paths_.size()) return std::nullopt;
      open(paths_[next_++]);
    }
  }

 private:
  void open(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) throw_unreadable(path, "it is a folder");
    file_.clear();
    file_.open(path);
    if (!file_.is_open()) throw_unreadable(path, "check that it exists and may be read");
  }
  [[noreturn]] static void throw_unreadable(const std::filesystem::path& path, const char* why) {
    throw Error("achilles::lines cannot read " + path.string() + ": " + why);
  }

  std::vector<std::filesystem::path> paths_;
  std::size_t next_ = 0;
  std::ifstream file_;
};

}  // namespace detail

/// The lines of files, one after another, without their line ends; files are opened as they are
/// reached. Throws Error, from the iteration, for a file that cannot be read.
inline auto lines(std::vector<std::filesystem::path> paths) {
  return generate(detail::LineReader(std::move(paths)));
}
inline auto lines(std::filesystem::path path) {
  return lines(std::vector<std::filesystem::path>{std::move(path)});
}

}  // namespace achilles
