#include <achilles/pool.hpp>
#include <string>
#include <vector>

int main() {
  const std::string prefix = "a";
  achilles::Pool().map([prefix](int x) { return prefix + std::to_string(x); }, std::vector{1});
}
