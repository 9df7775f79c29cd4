// Needs a library of the system's, with a version.
#include <achilles/pool.hpp>
#include <iostream>
#include <vector>

extern "C" int omp_get_max_threads();

int main() {
  try {
    const achilles::Pool pool;
    for (const int y : pool.imap([](int x) { return x * (omp_get_max_threads() > 0 ? 1 : 0); },
                                 std::vector{1, 2, 3})) {
      std::cout << y << '\n';
    }
  } catch (const achilles::JobFailed& error) {
    std::cerr << "JobFailed: " << error.what() << '\n';
    return 3;
  } catch (const achilles::Error& error) {
    std::cerr << "Error: " << error.what() << '\n';
    return 1;
  }
}
