// The house rules, as functions over source files held in memory.
//
// Pure: house_test.cpp reads the tree and hands it in; the self-tests hand in samples that break a
// rule, so that each rule is known to be able to fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace achilles::tests {

struct SourceFile {
  std::string path;  ///< From the project's root: "broker/core/scheduler.cpp".
  std::string text;
  bool executable = false;
};

struct Finding {
  std::string path;
  std::size_t line = 0;  ///< From 1; 0 when the whole file is meant.
  std::string message;
};

using Tree = std::vector<SourceFile>;
using Rule = std::vector<Finding> (*)(const Tree&);

/// Who may include whom.
std::vector<Finding> check_arrows(const Tree& tree);
/// libzmq's headers stay in protocol/transport, nlohmann's in .cpp files, and so on.
std::vector<Finding> check_libraries(const Tree& tree);
/// No clock, thread, file, randomness or hash order in the pure rooms.
std::vector<Finding> check_purity(const Tree& tree);
/// Every .cpp is named in a CMakeLists.txt, by its path from there: none is forgotten.
std::vector<Finding> check_registration(const Tree& tree);
/// Size, #pragma once, tabs, ends of lines, unfinished work, paths of somebody's machine, scripts.
std::vector<Finding> check_shape(const Tree& tree);

/// Deliberate faults (protocol/mutant.hpp) are in the cores alone, each in one place, and only the
/// simulator's test switches them on.
std::vector<Finding> check_mutants(const Tree& tree);

/// Comments and the insides of string and character literals become blanks; lines stay lines.
std::string without_comments(std::string_view text);

}  // namespace achilles::tests
