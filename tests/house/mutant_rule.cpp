// Deliberate faults stay where they belong: in the cores, switched on by one test alone.
#include <string>
#include <string_view>
#include <vector>

#include "tests/house/rules.hpp"

namespace achilles::tests {
namespace {

using std::string;
using std::string_view;

constexpr string_view kHeader = "protocol/mutant.hpp";
/// Switches them on, for objects of its own.
constexpr string_view kBuiltBy = "tests/sim/CMakeLists.txt";

bool is_core(string_view path) {
  return path.starts_with("broker/core/") || path.starts_with("worker/core/") ||
         path.starts_with("client/core/");
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::size_t count_word(string_view text, string_view word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != string_view::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || !is_word_character(text[at - 1]);
    const auto end = at + word.size();
    count += begins && (end == text.size() || !is_word_character(text[end])) ? 1 : 0;
  }
  return count;
}

/// The enumerators of Mutant, but for the two that are no mutants.
std::vector<string> mutants_in(const string& header) {
  const string code = without_comments(header);
  const auto begin = code.find('{', code.find("enum class Mutant"));
  std::vector<string> names;
  if (begin == string::npos) return names;
  string name;
  for (const char c : code.substr(begin + 1, code.find('}', begin) - begin)) {
    if (is_word_character(c)) {
      name += c;
    } else if (c == ',' || c == '}') {
      if (!name.empty() && name != "kNone" && name != "kEnd") names.push_back(name);
      name.clear();
    }
  }
  return names;
}

}  // namespace

std::vector<Finding> check_mutants(const Tree& tree) {
  std::vector<Finding> findings;
  const SourceFile* header = nullptr;
  string cores;
  for (const auto& file : tree) {
    if (file.path == kHeader) header = &file;
    if (file.path == kHeader || file.path.starts_with("tests/")) {
      if (file.path != kHeader && file.path != kBuiltBy && !file.path.starts_with("tests/house/") &&
          count_word(file.text, "ACHILLES_MUTANTS") > 0) {
        findings.push_back({file.path, 0, "only " + string(kBuiltBy) + " switches mutants on"});
      }
      continue;
    }
    const bool is_source = file.path.ends_with(".cpp") || file.path.ends_with(".hpp");
    const string code = is_source ? without_comments(file.text) : file.text;
    if (count_word(code, "ACHILLES_MUTANTS") + count_word(code, "active_mutant") > 0) {
      findings.push_back({file.path, 0, "mutants are switched on by a test, and nowhere else"});
    }
    if (is_core(file.path)) {
      cores += code;
    } else if (is_source && count_word(code, "Mutant") + count_word(code, "mutant") > 0) {
      findings.push_back({file.path, 0, "a deliberate fault outside the cores"});
    }
  }
  if (header == nullptr) return findings;
  for (const auto& name : mutants_in(header->text)) {
    const auto count = count_word(cores, name);
    if (count == 1) continue;
    findings.push_back({header->path, 0,
                        name + " is in the cores in " + std::to_string(count) +
                            " places; each mutant is one fault"});
  }
  return findings;
}

}  // namespace achilles::tests
