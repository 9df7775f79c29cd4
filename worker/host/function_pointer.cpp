#include "achilles/host/function_pointer.hpp"

#include <stdexcept>

#include "worker/host/function_keys.hpp"

namespace achilles::host {

std::uint64_t offset_of_function(const void* function) {
  if (function == nullptr) {
    throw std::invalid_argument("the function pointer is null: give the Pool a function to call");
  }
  const auto offset = code_offset(function);
  if (!offset) {
    throw std::invalid_argument(
        "the function pointer does not point into the program itself: call the function of the "
        "shared library from a lambda");
  }
  return *offset;
}

const void* function_at_offset(std::uint64_t offset) {
  const void* code = code_at(offset);
  if (code == nullptr)
    throw std::invalid_argument("the function's offset is not code of this program");
  return code;
}

}  // namespace achilles::host
