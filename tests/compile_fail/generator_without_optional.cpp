#include <achilles/pool.hpp>

int main() {
  achilles::Pool().map([](int x) { return x; }, achilles::generate([] { return 1; }));
}
