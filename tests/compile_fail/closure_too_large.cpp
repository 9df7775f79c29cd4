#include <achilles/pool.hpp>
#include <vector>

struct Table {
  int values[100000];
};

int main() {
  static const Table kTable{};
  const Table table = kTable;
  achilles::Pool().map([table](int x) { return table.values[x]; }, std::vector{1});
}
