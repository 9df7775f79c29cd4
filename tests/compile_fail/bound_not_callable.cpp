#include <achilles/pool.hpp>
#include <string>
#include <vector>

int main() {
  const auto add = [](int a, int x) { return a + x; };
  achilles::Pool().map(achilles::bind(add, std::string("a")), std::vector{1});
}
