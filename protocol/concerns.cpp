#include "protocol/concerns.hpp"

#include <algorithm>
#include <concepts>
#include <type_traits>

namespace achilles::protocol {
namespace {

template <class T>
concept HasFields = requires(const T& value) { T::fields(value, [](const char*, const auto&) {}); };

template <class Element>
void gather(const std::vector<Element>& elements, std::vector<Concern>& concerns);

template <class T>
void gather(const T& value, std::vector<Concern>& concerns) {
  if constexpr (std::same_as<T, JobId> || std::same_as<T, AttemptId>) {
    // Neighbours are often of one job.
    if (concerns.empty() || concerns.back() != Concern(value)) concerns.emplace_back(value);
  } else if constexpr (HasFields<T>) {
    T::fields(value, [&](const char*, const auto& field) { gather(field, concerns); });
  }
}
template <class Element>
void gather(const std::vector<Element>& elements, std::vector<Concern>& concerns) {
  if constexpr (HasFields<Element> || std::same_as<Element, AttemptId>) {
    for (const auto& element : elements) gather(element, concerns);
  }
}

}  // namespace

std::vector<Concern> concerns_of(const Message& message) {
  std::vector<Concern> concerns;
  if (std::holds_alternative<StatusReply>(message)) return concerns;
  std::visit([&](const auto& m) { gather(m, concerns); }, message);
  std::ranges::sort(concerns);
  const auto repeated = std::ranges::unique(concerns);
  concerns.erase(repeated.begin(), repeated.end());
  return concerns;
}

}  // namespace achilles::protocol
