#include "tests/sim/fault_kinds.hpp"

#include <algorithm>
#include <charconv>

namespace achilles::sim {
namespace {

struct Kind {
  std::string_view name;
  unsigned weight;  ///< The usual one.
};

// A deadly worker kills items that are good elsewhere, three times in a row if it gets them again:
// while nothing keeps them away from it, they end in an error. Ask for it to see.
constexpr std::array<Kind, kFaultKinds> kKinds{{
    {"cut", 4},          {"cut-to-broker", 3},  {"cut-to-peer", 3},
    {"hold", 3},         {"hold-to-broker", 2}, {"hold-to-peer", 2},
    {"reconnect", 6},    {"stall-broker", 3},   {"stall-worker", 5},
    {"stall-client", 4}, {"restart-broker", 5}, {"stop-broker", 2},
    {"crash-worker", 5}, {"crash-client", 1},   {"drain-worker", 4},
    {"stop-worker", 1},  {"kill-task", 4},      {"end-idle-task", 3},
    {"slow-worker", 2},  {"broken-worker", 1},  {"deadly-worker", 0},
    {"part", 0},
}};

/// REQUIRES: all names are different.
std::optional<std::size_t> find(std::string_view name) {
  const auto at = std::ranges::find(kKinds, name, &Kind::name);
  if (at == kKinds.end()) return std::nullopt;
  return static_cast<std::size_t>(at - kKinds.begin());
}

std::string all_names() {
  std::string names;
  for (const auto& kind : kKinds) names += " " + std::string(kind.name);
  return names;
}

/// "cut=3" or "cut". False: it is neither.
bool set_one(std::string_view part, FaultWeights& weights) {
  const auto equals = part.find('=');
  const auto which = find(part.substr(0, equals));
  if (!which) return false;
  unsigned weight = 1;
  if (equals != std::string_view::npos) {
    const auto number = part.substr(equals + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
    if (error != std::errc{} || end != number.data() + number.size() || weight > 1000) return false;
  }
  weights[*which] = weight;
  return true;
}

}  // namespace

std::string_view name_of(FaultKind kind) {
  return kKinds[static_cast<std::size_t>(kind)].name;
}

FaultWeights usual_weights() {
  FaultWeights weights{};
  for (std::size_t i = 0; i < kFaultKinds; ++i) weights[i] = kKinds[i].weight;
  return weights;
}

std::optional<FaultWeights> weights_from(std::string_view text, std::string& problem) {
  FaultWeights weights{};
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (part == "all") {
      weights = usual_weights();
    } else if (part == "none") {
      weights = {};
    } else if (!set_one(part, weights)) {
      problem = "\"" + std::string(part) + "\" is no kind of fault with a weight up to 1000; say " +
                "all, none, or some of:" + all_names();
      return std::nullopt;
    }
  }
  return weights;
}

std::string to_text(const FaultWeights& weights) {
  if (weights == usual_weights()) return "all";
  std::string text;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (weights[i] == 0) continue;
    if (!text.empty()) text += ",";
    text += std::string(kKinds[i].name) + "=" + std::to_string(weights[i]);
  }
  return text.empty() ? "none" : text;
}

}  // namespace achilles::sim
