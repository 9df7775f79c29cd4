#include <achilles/pool.hpp>
#include <vector>

int main() {
  const std::vector<int> table{1, 2};
  achilles::Pool().map([&](int x) { return table[0] + x; }, std::vector{1});
}
