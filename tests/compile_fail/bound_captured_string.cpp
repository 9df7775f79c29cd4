#include <achilles/pool.hpp>
#include <string>
#include <vector>

int main() {
  const std::string prefix = "a";
  const auto name = [prefix](int base, int x) { return prefix + std::to_string(base + x); };
  achilles::Pool().map(achilles::bind(name, 1), std::vector{1});
}
