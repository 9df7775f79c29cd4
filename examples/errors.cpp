// What can go wrong, and what the program sees of it: exceptions from the workers, a crash, an
// input that ends in an exception.
#include <achilles/pool.hpp>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <vector>

double inverse(int x) {
  if (x == 0) throw std::domain_error("zero has no inverse");
  return 1.0 / x;
}

double careful_inverse(int x) {
  try {
    return inverse(x);
  } catch (...) {
    std::throw_with_nested(std::runtime_error("item " + std::to_string(x) + " is no good"));
  }
}

int fragile(int x) {
  if (x == 2) std::abort();
  return x * 10;
}

int main() {
  achilles::Pool pool;
  const std::vector<int> inputs{4, 2, 0, 1};

  // map is all or nothing: it throws the first item's error, in input order.
  try {
    pool.map(inverse, inputs);
  } catch (const achilles::RemoteError& error) {
    std::cout << "map: item " << error.index() << " threw " << error.type_name() << ": "
              << error.message() << "\n\n";
  }

  // imap goes on: the error is thrown where the result would have been, at *it.
  auto results = pool.imap(inverse, inputs);
  for (auto it = results.begin(); it != results.end(); ++it) {
    try {
      const double y = *it;
      std::cout << "imap: " << y << '\n';
    } catch (const achilles::RemoteError& error) {
      std::cout << "imap: " << error.message() << '\n';
    }
  }

  // Nested exceptions arrive with their causes, the outermost first.
  try {
    pool.apply(careful_inverse, 0);
  } catch (const achilles::RemoteError& error) {
    std::cout << "\napply:\n";
    for (const auto& cause : error.causes()) {
      std::cout << "  " << cause.type << ": " << cause.what << '\n';
    }
  }

  // A function that takes its process down spoils its own item only, after a second chance in a new
  // process. What happened is on stderr, too.
  auto survivors = pool.imap(fragile, std::views::iota(1, 5), {.crash_limit = 2});
  std::cout << '\n';
  for (auto it = survivors.begin(); it != survivors.end(); ++it) {
    try {
      const int y = *it;
      std::cout << "crash: " << y << '\n';
    } catch (const achilles::TaskCrashed& crash) {
      std::cout << "crash: item " << crash.index() << " ended " << crash.attempts()
                << " processes by " << crash.ending() << '\n';
    }
  }

  // An exception of the input is the program's own, and comes after the results before it.
  auto input = achilles::generate([next = 1]() mutable -> std::optional<int> {
    if (next == 3) throw std::runtime_error("the source has run dry");
    return next++;
  });
  std::cout << '\n';
  try {
    for (const double y : pool.imap(inverse, std::move(input))) std::cout << "input: " << y << '\n';
  } catch (const std::runtime_error& error) {
    std::cout << "input: " << error.what() << '\n';
  }
}
