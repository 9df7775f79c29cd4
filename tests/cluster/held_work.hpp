// Functions for jobs whose tasks a test holds and lets go, by files: tasks are other processes.
//
// Thread-safety: functions without shared state.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "achilles/pool.hpp"
#include "tests/support/process.hpp"

namespace achilles::tests {

inline constexpr const char* kGo = "go";

/// Waits until the test makes the file. Throws when it never does.
inline void wait_for_file(const std::filesystem::path& path) {
  if (!eventually([&] { return std::filesystem::exists(path); }, 2 * kPatience)) {
    throw std::runtime_error("nobody made " + path.string());
  }
}

inline void let_go(const TemporaryFolder& folder) {
  touch(folder / kGo);
}

/// The square. Items from `held_from` on wait until `folder`/go is there, each after saying that it
/// has begun by a file of its own. The others take some milliseconds: a worker that took them for
/// very short would give a slot many more in advance, which would then wait behind a held one.
inline int held_square(const std::string& folder, int held_from, int x) {
  if (x >= held_from) {
    touch(std::filesystem::path(folder) / ("begun-" + std::to_string(x)));
    wait_for_file(std::filesystem::path(folder) / kGo);
  } else {
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
  }
  return x * x;
}

inline auto held_square_in(const TemporaryFolder& folder, int held_from = 0) {
  return achilles::bind(achilles::fn<&held_square>, folder.path().string(), held_from);
}

/// How many held items have begun.
inline std::size_t begun_in(const TemporaryFolder& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    count += entry.path().filename().string().starts_with("begun-") ? 1 : 0;
  }
  return count;
}

/// The squares of 0 … count-1, computed on a cluster and read by a thread of its own, while the
/// test does its mischief. Items from `held_from` on wait for let_go(), which the destructor sees
/// to.
class HeldJob {
 public:
  enum class Order { kInput, kAsTheyCome };
  struct Options {
    int held_from = 0;
    int count = 200;
    Order order = Order::kInput;
    std::uint32_t crash_limit = 3;
  };

  HeldJob(const std::string& endpoint, Options options)
      : reader_([this, endpoint, options] { read(achilles::Pool::connect(endpoint), options); }) {}
  ~HeldJob() {
    let_go();
    if (reader_.joinable()) reader_.join();
  }
  HeldJob(const HeldJob&) = delete;
  HeldJob& operator=(const HeldJob&) = delete;

  std::size_t begun() const { return begun_in(folder_); }
  std::size_t results_so_far() const { return count_; }
  void let_go() { tests::let_go(folder_); }
  /// All results, in the order in which they came, once the last is there. Throws what the job
  /// threw.
  const std::vector<achilles::Indexed<int>>& results() {
    reader_.join();
    if (failure_) std::rethrow_exception(failure_);
    return results_;
  }

 private:
  void read(const achilles::Pool& pool, const Options& options) {
    const achilles::CallOptions call{.chunksize = 1, .crash_limit = options.crash_limit};
    const auto inputs = std::views::iota(0, options.count);
    const auto function = held_square_in(folder_, options.held_from);
    try {
      if (options.order == Order::kInput) {
        keep(pool.imap(function, inputs, call).indexed());
      } else {
        keep(pool.imap_unordered(function, inputs, call).indexed());
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  template <class Results>
  void keep(Results results) {
    for (auto& result : results) {
      results_.push_back(result);
      ++count_;
    }
  }

  TemporaryFolder folder_;
  std::vector<achilles::Indexed<int>> results_;
  std::atomic<std::size_t> count_ = 0;
  std::exception_ptr failure_;
  std::thread reader_;  // Last: it uses the others.
};

/// Each result came once, and is its item's; in input order where that was asked for.
inline bool are_squares(std::vector<achilles::Indexed<int>> results, int count,
                        HeldJob::Order order = HeldJob::Order::kInput) {
  if (order == HeldJob::Order::kAsTheyCome) {
    std::ranges::sort(results, {}, &achilles::Indexed<int>::index);
  }
  if (results.size() != static_cast<std::size_t>(count)) return false;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].index != i || results[i].value != static_cast<int>(i * i)) return false;
  }
  return true;
}

inline std::vector<int> serial_squares(int count) {
  std::vector<int> result;
  for (int x = 0; x < count; ++x) result.push_back(x * x);
  return result;
}

}  // namespace achilles::tests
