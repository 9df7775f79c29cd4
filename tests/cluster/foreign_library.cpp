// A shared library that is not the system's, with a Pool call inside.
#include "tests/cluster/foreign_library.hpp"

#include <achilles/pool.hpp>
#include <vector>

int foreign_triple(int x) {
  return 3 * x;
}

int foreign_sum(const achilles::Pool& pool) {
  int sum = 0;
  for (const int y : pool.imap([](int x) { return 3 * x; }, std::vector{1, 2, 3})) sum += y;
  return sum;
}
