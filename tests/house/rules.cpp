#include "tests/house/rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace achilles::tests {
namespace {

using std::string;
using std::string_view;

std::vector<string_view> lines_of(string_view text) {
  std::vector<string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

bool is_header(string_view path) {
  return path.ends_with(".hpp");
}
bool is_cpp(string_view path) {
  return path.ends_with(".cpp");
}
bool is_source(string_view path) {
  return is_header(path) || is_cpp(path);
}

string_view folder_of(string_view path) {
  const auto slash = path.rfind('/');
  return slash == string_view::npos ? string_view{} : path.substr(0, slash);
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// `word` in `line`, not as a part of a longer name (if it begins or ends like a name).
bool contains_word(string_view line, string_view word) {
  for (auto at = line.find(word); at != string_view::npos; at = line.find(word, at + 1)) {
    const bool begins =
        at == 0 || !is_word_character(word.front()) || !is_word_character(line[at - 1]);
    const auto end = at + word.size();
    const bool ends =
        end == line.size() || !is_word_character(word.back()) || !is_word_character(line[end]);
    if (begins && ends) return true;
  }
  return false;
}

struct Include {
  std::size_t line;
  string_view target;
};

std::vector<Include> includes_of(string_view text) {
  std::vector<Include> includes;
  std::size_t number = 0;
  for (string_view line : lines_of(text)) {
    ++number;
    const auto start = line.find_first_not_of(" \t");
    if (start == string_view::npos || !line.substr(start).starts_with("#include")) continue;
    const auto open = line.find_first_of("\"<");
    if (open == string_view::npos) continue;
    const auto close = line.find_first_of("\">", open + 1);
    if (close == string_view::npos) continue;
    includes.push_back({number, line.substr(open + 1, close - open - 1)});
  }
  return includes;
}

// ---- arrows ---------------------------------------------------------------------------------

enum class Box {
  kProtocol,
  kTransport,
  kBrokerCore,
  kBrokerShell,
  kWorkerCore,
  kWorkerShell,
  kHost,
  kClientCore,
  kClientShell,
  kCli,
  kPublic,   // what is installed
  kOutside,  // tests, bench
  kExamples,
};

struct Place {
  string_view prefix;
  Box box;
};

// The longest prefix wins: keep the inner folders first.
constexpr std::array kPlaces{
    Place{"protocol/include/", Box::kPublic},
    Place{"protocol/transport/", Box::kTransport},
    Place{"protocol/", Box::kProtocol},
    Place{"broker/core/", Box::kBrokerCore},
    Place{"broker/", Box::kBrokerShell},
    Place{"worker/core/", Box::kWorkerCore},
    Place{"worker/host/include/", Box::kPublic},
    Place{"worker/host/", Box::kHost},
    Place{"worker/", Box::kWorkerShell},
    Place{"client/include/", Box::kPublic},
    Place{"client/core/", Box::kClientCore},
    Place{"client/cli/", Box::kCli},
    Place{"client/", Box::kClientShell},
    Place{"tests/", Box::kOutside},
    Place{"bench/", Box::kOutside},
    Place{"examples/", Box::kExamples},
    // As others include them:
    Place{"achilles/", Box::kPublic},
};

std::optional<Box> box_of(string_view path) {
  for (const auto& place : kPlaces) {
    if (path.starts_with(place.prefix)) return place.box;
  }
  return std::nullopt;
}

const std::set<Box>& allowed(Box from) {
  static const std::map<Box, std::set<Box>> arrows{
      {Box::kPublic, {Box::kPublic}},
      {Box::kProtocol, {Box::kProtocol, Box::kPublic}},
      {Box::kTransport, {Box::kProtocol, Box::kTransport, Box::kPublic}},
      {Box::kBrokerCore, {Box::kProtocol, Box::kBrokerCore}},
      {Box::kWorkerCore, {Box::kProtocol, Box::kWorkerCore}},
      {Box::kClientCore, {Box::kProtocol, Box::kClientCore}},
      {Box::kBrokerShell, {Box::kProtocol, Box::kTransport, Box::kBrokerCore, Box::kBrokerShell}},
      // The host shares the page and the channel with the worker whose task process it is.
      {Box::kHost, {Box::kProtocol, Box::kPublic, Box::kHost, Box::kWorkerShell}},
      {Box::kWorkerShell,
       {Box::kProtocol, Box::kTransport, Box::kPublic, Box::kHost, Box::kWorkerCore,
        Box::kWorkerShell}},
      // The embedded Pool composes the broker's core and the worker; not the broker's shell.
      {Box::kClientShell,
       {Box::kProtocol, Box::kTransport, Box::kPublic, Box::kClientCore, Box::kClientShell,
        Box::kBrokerCore, Box::kWorkerCore, Box::kWorkerShell, Box::kHost}},
      {Box::kCli, {Box::kProtocol, Box::kTransport, Box::kCli}},
      {Box::kExamples, {Box::kPublic, Box::kExamples}},
  };
  static const std::set<Box> nothing;
  const auto found = arrows.find(from);
  return found == arrows.end() ? nothing : found->second;
}

// ---- purity ---------------------------------------------------------------------------------

bool is_pure(string_view path) {
  const auto box = box_of(path);
  return box == Box::kProtocol || box == Box::kBrokerCore || box == Box::kWorkerCore ||
         box == Box::kClientCore;
}

constexpr auto kImpureHeaders =
    std::to_array<string_view>({"thread",     "mutex",      "shared_mutex", "condition_variable",
                                "future",     "stop_token", "semaphore",    "latch",
                                "barrier",    "iostream",   "fstream",      "filesystem",
                                "ctime",      "time.h",     "unistd.h",     "fcntl.h",
                                "poll.h",     "pthread.h",  "signal.h",     "csignal",
                                "syncstream", "print"});

constexpr auto kImpureWords = std::to_array<string_view>(
    {"::now(",        "system_clock", "steady_clock",    "high_resolution_clock",
     "clock_gettime", "gettimeofday", "std::time(",      "random_device",
     "rand(",         "srand(",       "randombytes_buf", "randombytes",
     "getenv",        "std::thread",  "std::jthread",    "std::mutex",
     "sleep_for",     "printf(",      "fopen(",          "std::cout",
     "std::cerr",     "thread_local"});

/// Names declared as std::unordered_… in `code`: members, variables, parameters.
std::set<string> unordered_names(string_view code) {
  std::set<string> names;
  constexpr string_view kStart = "std::unordered_";
  for (auto at = code.find(kStart); at != string_view::npos; at = code.find(kStart, at + 1)) {
    auto position = code.find('<', at);
    if (position == string_view::npos) break;
    int depth = 0;
    for (; position < code.size(); ++position) {
      if (code[position] == '<') ++depth;
      if (code[position] == '>' && --depth == 0) break;
    }
    ++position;
    while (position < code.size() && !is_word_character(code[position]) &&
           string_view(" \n&").find(code[position]) != string_view::npos) {
      ++position;
    }
    const auto begin = position;
    while (position < code.size() && is_word_character(code[position])) ++position;
    if (position > begin) names.emplace(code.substr(begin, position - begin));
  }
  return names;
}

/// Does `line` walk over the container called `name`?
bool iterates(string_view line, const string& name) {
  const auto colon = line.find(" : ");
  if (contains_word(line, "for") && colon != string_view::npos) {
    auto range = line.substr(colon + 3);
    range = range.substr(0, range.find(')'));
    // The last name of the range expression: "jobs_", "state.jobs_".
    const auto last = range.find_last_not_of(" ");
    range = range.substr(0, last == string_view::npos ? 0 : last + 1);
    if (range.ends_with(name) && (range.size() == name.size() ||
                                  !is_word_character(range[range.size() - name.size() - 1]))) {
      return true;
    }
  }
  return contains_word(line, name + ".begin()") || contains_word(line, name + ".cbegin()");
}

// ---- registration ---------------------------------------------------------------------------

/// As "squares.cpp", or as "squares" in a loop over "${example}.cpp"; not as "other/squares.cpp".
bool names(string_view list, string_view cpp) {
  const auto stem = cpp.substr(0, cpp.size() - string_view(".cpp").size());
  for (auto at = list.find(cpp); at != string_view::npos; at = list.find(cpp, at + 1)) {
    const bool begins = at == 0 || string_view(" \n(/").find(list[at - 1]) != string_view::npos;
    const auto before = list.substr(0, at);
    if (begins && (!before.ends_with('/') || before.ends_with("_DIR}/"))) return true;
  }
  return list.find("}.cpp") != string_view::npos && contains_word(list, stem);
}

// ---- shape ----------------------------------------------------------------------------------

constexpr std::size_t kMaxLines = 500;

struct LongFile {
  string_view path;
  string_view reason;
};
/// Files that may be longer, each with its reason.
constexpr std::array kLongFiles{
    LongFile{"protocol/messages.hpp", "every message in one place, and most of it lists of fields"},
};

bool may_be_long(string_view path) {
  return std::any_of(kLongFiles.begin(), kLongFiles.end(),
                     [&](const LongFile& file) { return file.path == path; });
}

constexpr std::array<string_view, 5> kUnfinished{"TODO", "FIXME", "XXX", "HACK", "TBD"};
constexpr std::array<string_view, 4> kSomebodysMachine{"/work/", "/root/", "/home/", "/tmp/brief"};
/// This test itself has to spell what it looks for.
constexpr string_view kHouse = "tests/house/";

string_view first_code_line(string_view text) {
  for (string_view line : lines_of(text)) {
    if (!line.empty() && !line.starts_with("//")) return line;
  }
  return {};
}

void check_lines(const SourceFile& file, std::vector<Finding>& findings) {
  std::size_t number = 0;
  for (string_view line : lines_of(file.text)) {
    ++number;
    const auto report = [&](const string& message) {
      findings.push_back({file.path, number, message});
    };
    if (line.find('\t') != string_view::npos) report("a tab; indent with spaces");
    if (line.ends_with('\r')) report("a carriage return; lines end with a line feed");
    if (line.ends_with(' ')) report("a blank at the end of the line");
    if (file.path.starts_with(kHouse)) continue;
    for (const auto& word : kUnfinished) {
      if (contains_word(line, word)) report("\"" + string(word) + "\": finish it, or leave it out");
    }
    for (const auto& path : kSomebodysMachine) {
      if (line.find(path) != string_view::npos)
        report("\"" + string(path) + "\" is a place on one machine");
    }
  }
  if (number > kMaxLines && !may_be_long(file.path)) {
    findings.push_back(
        {file.path, 0,
         std::to_string(number) + " lines; split it, or list it in kLongFiles with a reason"});
  }
}

}  // namespace

std::string without_comments(std::string_view text) {
  enum class In { kCode, kLineComment, kBlockComment, kString, kCharacter };
  In in = In::kCode;
  string code(text);
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = text[i];
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    const char previous = i > 0 ? text[i - 1] : '\0';
    if (c == '\n') {
      if (in == In::kLineComment) in = In::kCode;
      continue;
    }
    switch (in) {
      case In::kCode:
        if (c == '/' && next == '/') {
          in = In::kLineComment;
          code[i] = ' ';
        } else if (c == '/' && next == '*') {
          in = In::kBlockComment;
          code[i] = code[i + 1] = ' ';
          ++i;
        } else if (c == '"') {
          in = In::kString;
        } else if (c == '\'' && std::isalnum(static_cast<unsigned char>(previous)) == 0) {
          in = In::kCharacter;  // and not a digit separator, as in 1'000
        }
        break;
      case In::kLineComment:
        code[i] = ' ';
        break;
      case In::kBlockComment:
        code[i] = ' ';
        if (c == '/' && previous == '*') in = In::kCode;
        break;
      case In::kString:
      case In::kCharacter:
        if (c == (in == In::kString ? '"' : '\'')) {
          in = In::kCode;
        } else {
          code[i] = ' ';
          if (c == '\\' && next != '\n' && i + 1 < code.size()) code[++i] = ' ';
        }
        break;
    }
  }
  return code;
}

std::vector<Finding> check_arrows(const Tree& tree) {
  std::vector<Finding> findings;
  for (const auto& file : tree) {
    const auto from = box_of(file.path);
    if (!is_source(file.path) || !from || *from == Box::kOutside) continue;
    for (const auto& [line, target] : includes_of(file.text)) {
      const auto to = box_of(target);
      // Public headers come first in the table by their place in the tree, so a private spelling of
      // them ("protocol/include/…") would pass unnoticed.
      if (target.find("/include/") != string_view::npos && to) {
        findings.push_back(
            {file.path, line, "includes \"" + string(target) + "\": write achilles/…"});
      } else if (to && !allowed(*from).contains(*to)) {
        findings.push_back({file.path, line, "may not include \"" + string(target) + "\""});
      }
    }
  }
  return findings;
}

std::vector<Finding> check_libraries(const Tree& tree) {
  std::vector<Finding> findings;
  for (const auto& file : tree) {
    const auto box = box_of(file.path);
    if (!is_source(file.path) || !box) continue;
    for (const auto& [line, target] : includes_of(file.text)) {
      const auto report = [&, number = line, header = target](const string& message) {
        findings.push_back({file.path, number, "<" + string(header) + ">: " + message});
      };
      if (target.starts_with("zmq") && *box != Box::kTransport && *box != Box::kOutside) {
        report("only protocol/transport may see libzmq");
      }
      if (target.starts_with("nlohmann/") && is_header(file.path)) {
        report("only in .cpp files: it slows every user of a header");
      }
      if (*box == Box::kPublic && (target.starts_with("spdlog/") || target.starts_with("CLI/") ||
                                   target.starts_with("sodium"))) {
        report("not in an installed header");
      }
    }
  }
  return findings;
}

std::vector<Finding> check_purity(const Tree& tree) {
  std::vector<Finding> findings;
  // What is unordered is known by name within one folder: members are declared in a header and
  // walked over in a .cpp.
  std::map<string, std::set<string>, std::less<>> unordered;
  std::map<string, string> code;
  for (const auto& file : tree) {
    if (!is_source(file.path) || !is_pure(file.path)) continue;
    code[file.path] = without_comments(file.text);
    unordered[string(folder_of(file.path))].merge(unordered_names(code[file.path]));
  }
  for (const auto& file : tree) {
    if (!code.contains(file.path)) continue;
    for (const auto& [line, target] : includes_of(file.text)) {
      if (std::find(kImpureHeaders.begin(), kImpureHeaders.end(), target) != kImpureHeaders.end() ||
          target.starts_with("sys/")) {
        findings.push_back({file.path, line, "<" + string(target) + "> in a pure room"});
      }
    }
    std::size_t number = 0;
    for (string_view line : lines_of(code[file.path])) {
      ++number;
      for (string_view word : kImpureWords) {
        if (contains_word(line, word)) {
          findings.push_back({file.path, number, "\"" + string(word) + "\" in a pure room"});
        }
      }
      for (const auto& name : unordered[string(folder_of(file.path))]) {
        if (iterates(line, name)) {
          findings.push_back({file.path, number,
                              "walks over \"" + name + "\", whose order differs from run to run"});
        }
      }
    }
  }
  return findings;
}

std::vector<Finding> check_registration(const Tree& tree) {
  std::vector<const SourceFile*> lists;
  for (const auto& file : tree) {
    if (file.path.ends_with("CMakeLists.txt")) lists.push_back(&file);
  }
  std::vector<Finding> findings;
  for (const auto& file : tree) {
    if (!is_cpp(file.path)) continue;
    const std::filesystem::path path(file.path);
    const bool named = std::any_of(lists.begin(), lists.end(), [&](const SourceFile* list) {
      const std::filesystem::path folder(folder_of(list->path));
      return names(list->text, path.lexically_relative(folder.empty() ? "." : folder).string());
    });
    if (!named) findings.push_back({file.path, 0, "no CMakeLists.txt names it"});
  }
  return findings;
}

std::vector<Finding> check_shape(const Tree& tree) {
  std::vector<Finding> findings;
  for (const auto& file : tree) {
    check_lines(file, findings);
    if (!file.text.empty() && !file.text.ends_with('\n')) {
      findings.push_back({file.path, 0, "the last line does not end"});
    }
    if (is_header(file.path) && first_code_line(file.text) != "#pragma once") {
      findings.push_back({file.path, 0, "a header begins with #pragma once, after its comment"});
    }
    if (file.path.starts_with("script/") || file.path.starts_with(".ci/")) {
      if (!file.executable) findings.push_back({file.path, 0, "a script is executable: chmod +x"});
      if (!file.text.starts_with("#!"))
        findings.push_back({file.path, 1, "a script begins with #!"});
    }
  }
  return findings;
}

}  // namespace achilles::tests
