#include <achilles/pool.hpp>
#include <vector>

struct Point {
  explicit Point(int where) : x(where) {}
  int x;
  MSGPACK_DEFINE(x);
};

int main() {
  achilles::Pool().map([](const Point& p) { return p.x; }, std::vector{Point(1)});
}
