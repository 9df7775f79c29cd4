#include <achilles/pool.hpp>
#include <string>
#include <vector>

int main() {
  achilles::Pool().map([](int x) { return x; }, std::vector<std::string>{"a"});
}
