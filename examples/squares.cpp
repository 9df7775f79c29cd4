// Squares of numbers, on all cores: several jobs, one after another.
#include <achilles/pool.hpp>
#include <iostream>
#include <ranges>

int main() {
  achilles::Pool pool;

  // In order, as they are ready.
  for (int y : pool.imap([](int x) { return x * x; }, std::views::iota(1, 11))) {
    std::cout << y << ' ';
  }
  std::cout << '\n';

  // All at once.
  const auto cubes = pool.map([](double x) { return x * x * x; }, std::vector{1.0, 2.0, 3.0});
  for (const double y : cubes) std::cout << y << ' ';
  std::cout << '\n';

  // As they come, each with its index; the lambda takes `power` along.
  const int power = 5;
  double sum = 0;
  for (auto [index, value] : pool.imap_unordered(
                                     [power](int x) {
                                       double product = 1;
                                       for (int i = 0; i < power; ++i) product *= x;
                                       return product;
                                     },
                                     std::views::iota(0, 1000))
                                 .indexed()) {
    sum += value;
  }
  std::cout << sum << '\n';

  // One call.
  std::cout << pool.apply([](std::string a, std::string b) { return a + b; }, "one ", "call")
            << '\n';
}
