// Uses a shared library that is not the system's. With the argument `inside` the library calls the
// Pool, else the program does.
#include <achilles/pool.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "tests/cluster/foreign_library.hpp"

int main(int argc, char** argv) {
  const bool inside = argc > 1 && std::string(argv[1]) == "inside";
  try {
    const achilles::Pool pool;
    int sum = 0;
    if (inside) {
      sum = foreign_sum(pool);
    } else {
      for (const int y : pool.imap([](int x) { return foreign_triple(x); }, std::vector{1, 2, 3})) {
        sum += y;
      }
    }
    std::cout << sum << '\n';
  } catch (const achilles::NotShippable& error) {
    std::cerr << "NotShippable: " << error.what() << '\n';
    return 3;
  } catch (const achilles::Error& error) {
    std::cerr << "Error: " << error.what() << '\n';
    return 1;
  }
}
