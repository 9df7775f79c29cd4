#include <achilles/pool.hpp>
#include <vector>

int main() {
  const int by = 2;
  achilles::Pool().map([by](int x) { return by * x; }, std::vector{1});
}
