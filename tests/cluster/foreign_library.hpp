// A shared library that is not the system's, with a Pool call inside.
#pragma once

namespace achilles {
class Pool;
}

int foreign_triple(int x);
int foreign_sum(const achilles::Pool& pool);
