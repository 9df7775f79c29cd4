#include <achilles/pool.hpp>
#include <vector>

struct Point {
  int x;
  int* next;
};

int main() {
  achilles::Pool().map([](Point p) { return p.x; }, std::vector<Point>{{1, nullptr}});
}
