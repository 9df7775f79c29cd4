#include "worker/host/exception_record.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>

namespace achilles::host {
namespace {

constexpr int kMaxDepth = 16;

std::string current_type_name() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "unknown";
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free);
  if (status != 0) return type->name();
  // std::throw_with_nested throws a type of the standard library's own, derived from the one it was
  // given: that one is meant.
  constexpr std::string_view kNested = "std::_Nested_exception<";
  std::string text = name.get();
  if (text.starts_with(kNested) && text.ends_with('>')) {
    text = text.substr(kNested.size(), text.size() - kNested.size() - 1);
  }
  return text;
}

void collect(std::vector<protocol::Cause>& causes, int depth) {
  try {
    throw;
  } catch (const std::exception& error) {
    causes.push_back({current_type_name(), error.what()});
    if (depth == kMaxDepth) return;
    try {
      std::rethrow_if_nested(error);
    } catch (...) {
      collect(causes, depth + 1);
    }
  } catch (const std::string& text) {
    causes.push_back({current_type_name(), text});
  } catch (const char* text) {
    causes.push_back({current_type_name(), text != nullptr ? text : ""});
  } catch (...) {
    causes.push_back({current_type_name(), "(not a std::exception)"});
  }
}

}  // namespace

std::vector<protocol::Cause> describe_current_exception() noexcept {
  std::vector<protocol::Cause> causes;
  try {
    collect(causes, 0);
  } catch (...) {  // Out of memory while describing: what was collected must do.
  }
  return causes;
}

}  // namespace achilles::host
