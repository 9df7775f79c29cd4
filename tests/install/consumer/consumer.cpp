#include <achilles/pool.hpp>
#include <iostream>
#include <vector>

int main() {
  const int factor = 7;
  const std::vector<int> inputs{1, 2, 3, 4, 5};
  achilles::Pool pool;
  for (const int y : pool.imap([factor](int x) { return factor * x; }, inputs))
    std::cout << y << '\n';
}
