#include <achilles/pool.hpp>
#include <vector>

struct Point {
  int x;
  int* next;
};

int main() {
  achilles::Pool().map([](int x) { return Point{x, nullptr}; }, std::vector{1});
}
