#include <achilles/pool.hpp>
#include <vector>

struct Point {
  int x;
  int* next;
};

int main() {
  const auto add = [](Point p, int x) { return p.x + x; };
  achilles::Pool().map(achilles::bind(add, Point{1, nullptr}), std::vector{1});
}
