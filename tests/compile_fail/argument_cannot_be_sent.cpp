#include <achilles/pool.hpp>
#include <vector>

struct Point {
  int x;
  int* next;
};

int main() {
  achilles::Pool().apply([](Point p) { return p.x; }, Point{1, nullptr});
}
