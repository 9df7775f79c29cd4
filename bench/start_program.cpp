// The program whose first result W7 waits for: a Pool, one call, one line.
#include <cstdio>

#include "achilles/pool.hpp"

int main() {
  const achilles::Pool pool;
  std::printf("%d\n", pool.apply([](int x) { return x * x; }, 7));
  std::fflush(stdout);
}
