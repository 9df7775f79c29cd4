#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/house/rules.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::tests;
namespace fs = std::filesystem;

namespace {

bool is_ours(const fs::path& path) {
  static const std::vector<std::string> kEndings{".hpp", ".cpp",  ".txt", ".cmake",
                                                 ".md",  ".json", ".in"};
  return std::find(kEndings.begin(), kEndings.end(), path.extension()) != kEndings.end();
}

SourceFile read(const fs::path& root, const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  SourceFile file;
  file.path = fs::relative(path, root).generic_string();
  file.text.assign(std::istreambuf_iterator<char>(in), {});
  file.executable = (fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms::none;
  return file;
}

Tree read_tree() {
  const fs::path root = ACHILLES_SOURCE_DIR;
  Tree tree;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_regular_file() && is_ours(entry.path())) tree.push_back(read(root, entry.path()));
  }
  for (const auto* room : {"protocol", "broker", "worker", "client", "tests", "bench", "examples",
                           "script", ".ci", "cmake", "docs", "packaging"}) {
    if (!fs::is_directory(root / room)) continue;
    const bool scripts = std::string(room) == "script" || std::string(room) == ".ci";
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      if (entry.is_regular_file() && (scripts || is_ours(entry.path()))) {
        tree.push_back(read(root, entry.path()));
      }
    }
  }
  return tree;
}

std::string describe(const std::vector<Finding>& findings) {
  std::string text;
  for (const auto& finding : findings) {
    text += finding.path + (finding.line != 0 ? ":" + std::to_string(finding.line) : "") + ": " +
            finding.message + "\n";
  }
  return text;
}

/// The rule finds exactly one thing, in the last file of the sample, and the message says `part`.
void check_caught(Rule rule, const Tree& sample, const std::string& part) {
  const auto findings = rule(sample);
  INFO(sample.back().path << " must be caught for: " << part << "\nfound: " << describe(findings));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].path == sample.back().path);
  CHECK(findings[0].message.find(part) != std::string::npos);
}

void check_accepted(Rule rule, const Tree& sample) {
  CHECK(describe(rule(sample)).empty());
}

SourceFile including(const std::string& path, const std::string& target) {
  return {path, "#pragma once\n#include \"" + target + "\"\n"};
}

}  // namespace

TEST_CASE("the source tree keeps the house rules") {
  const Tree tree = read_tree();
  REQUIRE(tree.size() > 30);
  for (const Rule rule : {check_arrows, check_libraries, check_purity, check_registration,
                          check_shape, check_mutants}) {
    const auto findings = rule(tree);
    INFO(describe(findings));
    CHECK(findings.empty());
  }
}

TEST_CASE("an arrow against the plan is caught") {
  const auto [from, to] = GENERATE(table<std::string, std::string>({
      {"protocol/codec.cpp", "protocol/transport/socket.hpp"},
      {"protocol/codec.cpp", "broker/core/events.hpp"},
      {"protocol/transport/socket.cpp", "worker/core/agent.hpp"},
      {"broker/core/scheduler.cpp", "protocol/transport/socket.hpp"},
      {"broker/core/scheduler.cpp", "broker/broker_shell.hpp"},
      {"broker/core/scheduler.cpp", "worker/core/events.hpp"},
      {"worker/core/agent.hpp", "client/core/session.hpp"},
      {"client/core/session.cpp", "broker/core/events.hpp"},
      {"broker/main.cpp", "worker/core/agent.hpp"},
      {"worker/main.cpp", "broker/core/scheduler.hpp"},
      {"worker/agent_shell.cpp", "client/client_shell.hpp"},
      {"worker/host/host.cpp", "worker/core/agent.hpp"},
      {"client/embedded.cpp", "broker/broker_shell.hpp"},
      {"client/cli/status.cpp", "broker/core/scheduler.hpp"},
      {"client/include/achilles/pool.hpp", "protocol/messages.hpp"},
      {"client/include/achilles/pool.hpp", "client/core/session.hpp"},
      {"examples/squares.cpp", "client/client_shell.hpp"},
      {"worker/host/host.cpp", "protocol/include/achilles/protocol/items.hpp"},
  }));
  check_caught(check_arrows, {including(from, to)}, to);
}

TEST_CASE("arrows of the plan are accepted") {
  const auto [from, to] = GENERATE(table<std::string, std::string>({
      {"protocol/codec.cpp", "protocol/messages.hpp"},
      {"protocol/items.hpp", "achilles/protocol/items.hpp"},
      {"protocol/transport/socket.cpp", "protocol/codec.hpp"},
      {"broker/core/scheduler.cpp", "protocol/messages.hpp"},
      {"broker/broker_shell.cpp", "protocol/transport/socket.hpp"},
      {"client/embedded.cpp", "broker/core/scheduler.hpp"},
      {"client/embedded.cpp", "worker/task_process.hpp"},
      {"client/include/achilles/pool.hpp", "achilles/host/function_table.hpp"},
      {"examples/squares.cpp", "achilles/pool.hpp"},
      {"tests/broker/scheduler_test.cpp", "worker/core/agent.hpp"},
      {"client/core/session.cpp", "vector"},
  }));
  check_accepted(check_arrows, {including(from, to)});
}

TEST_CASE("a library outside its place is caught") {
  check_caught(check_libraries, {including("broker/broker_shell.cpp", "zmq.hpp")}, "libzmq");
  check_caught(check_libraries, {including("client/pool.cpp", "zmq.h")}, "libzmq");
  check_caught(check_libraries, {including("client/cli/status.hpp", "nlohmann/json.hpp")},
               ".cpp files");
  check_caught(check_libraries, {including("client/include/achilles/pool.hpp", "spdlog/spdlog.h")},
               "installed");
  check_accepted(check_libraries, {including("protocol/transport/socket.hpp", "zmq.hpp"),
                                   including("client/cli/status.cpp", "nlohmann/json.hpp"),
                                   including("tests/protocol/hostile_test.cpp", "zmq.hpp"),
                                   including("client/include/achilles/values.hpp", "msgpack.hpp")});
}

TEST_CASE("time, threads, files and chance are caught in a pure room") {
  const auto [code, part] = GENERATE(table<std::string, std::string>({
      {"#include <thread>\n", "<thread>"},
      {"#include <iostream>\n", "<iostream>"},
      {"#include <sys/socket.h>\n", "<sys/socket.h>"},
      {"auto t = Clock::now();\n", "::now("},
      {"using Clock = std::chrono::steady_clock;\n", "steady_clock"},
      {"int x = rand();\n", "rand("},
      {"std::random_device seed;\n", "random_device"},
      {"const char* x = std::getenv(\"X\");\n", "getenv"},
      {"std::unordered_map<int, std::vector<int>> jobs_;\nfor (auto& [k, v] : jobs_) f(v);\n",
       "jobs_"},
      {"std::unordered_set<int> seen;\nauto first = seen.begin();\n", "seen"},
  }));
  check_caught(check_purity, {{"broker/core/scheduler.cpp", code}}, part);
  check_caught(check_purity, {{"protocol/codec.cpp", code}}, part);
  check_accepted(check_purity, {{"broker/broker_shell.cpp", code}});
}

TEST_CASE("hash order declared in a header is caught in the file that walks over it") {
  check_caught(check_purity,
               {{"broker/core/table.hpp", "std::unordered_map<int, int> rows_;\n"},
                {"broker/core/table.cpp", "for (const auto& row : this->rows_) use(row);\n"}},
               "rows_");
}

TEST_CASE("what only looks impure is accepted") {
  check_accepted(check_purity, {{"broker/core/scheduler.cpp",
                                 "// never rand(), never std::thread\n"
                                 "/* steady_clock\n getenv */\n"
                                 "refuse(\"std::cout \\\" rand()\");\n"
                                 "operand(1'000, brand(), on_now());\n"
                                 "std::unordered_map<int, int> by_id;\n"
                                 "for (int id : ids) by_id.find(id);\n"}});
}

TEST_CASE("a source file that is not built is caught") {
  const SourceFile list{"tests/broker/CMakeLists.txt",
                        "achilles_test(a SOURCES a_test.cpp core/b_test.cpp)\n"};
  check_caught(check_registration, {list, {"tests/broker/c_test.cpp", ""}}, "CMakeLists.txt");
  check_caught(check_registration, {list, {"tests/broker/test.cpp", ""}}, "CMakeLists.txt");
  check_caught(check_registration, {list, {"worker/a_test.cpp", ""}}, "CMakeLists.txt");
  check_accepted(check_registration,
                 {list, {"tests/broker/a_test.cpp", ""}, {"tests/broker/core/b_test.cpp", ""}});
  check_caught(check_registration, {list, {"tests/broker/b_test.cpp", ""}}, "CMakeLists.txt");
  check_accepted(check_registration,
                 {{"tests/cluster/CMakeLists.txt", "add_library(s ../support/process.cpp)\n"},
                  {"tests/support/process.cpp", ""}});
  check_accepted(check_registration,
                 {{"examples/CMakeLists.txt",
                   "foreach(example squares)\n  add_executable(${example} ${example}.cpp)\n"},
                  {"examples/squares.cpp", ""}});
}

TEST_CASE("a file out of shape is caught") {
  std::string long_text;
  for (int i = 0; i < 501; ++i) long_text += "int x;\n";
  check_caught(check_shape, {{"broker/a.cpp", long_text}}, "501 lines");
  check_caught(check_shape, {{"broker/a.hpp", "// Why.\n#include <vector>\n#pragma once\n"}},
               "#pragma once");
  check_caught(check_shape, {{"broker/a.cpp", "\tint x;\n"}}, "tab");
  check_caught(check_shape, {{"broker/a.cpp", "int x;\r\n"}}, "carriage return");
  check_caught(check_shape, {{"broker/a.cpp", "int x; \n"}}, "blank at the end");
  check_caught(check_shape, {{"broker/a.cpp", "int x;"}}, "does not end");
  check_caught(check_shape, {{"broker/a.cpp", "// TODO: later\n"}}, "finish it");
  check_caught(check_shape, {{"README.md", "cd /home/ada\n"}}, "one machine");
  check_caught(check_shape, {{"script/run", "#!/bin/sh\n", false}}, "chmod");
  check_caught(check_shape, {{"script/run", "echo\n", true}}, "#!");
  check_accepted(check_shape, {{"broker/a.hpp", "// Why.\n\n#pragma once\n"},
                               {"script/run", "#!/bin/sh\n", true}});
}

TEST_CASE("a deliberate fault that could get into a release is caught") {
  const SourceFile header{
      "protocol/mutant.hpp",
      "enum class Mutant {\n  kNone,\n  kLost,  ///< Why, with a comma.\n  kEnd,\n};\n"
      "#ifdef ACHILLES_MUTANTS\n"};
  const SourceFile hook{"broker/core/scheduler.cpp", "if (mutant(Mutant::kLost)) return;\n"};
  check_accepted(check_mutants,
                 {header, hook, {"tests/sim/CMakeLists.txt", "option(ACHILLES_MUTANTS)\n"}});
  check_caught(check_mutants, {hook, header, {"CMakePresets.json", "\"ACHILLES_MUTANTS\": \"ON\""}},
               "nowhere else");
  check_caught(check_mutants, {hook, header, {"broker/main.cpp", "protocol::active_mutant = {};"}},
               "nowhere else");
  check_caught(check_mutants, {hook, header, {"tests/broker/CMakeLists.txt", "ACHILLES_MUTANTS=1"}},
               "only tests/sim");
  check_caught(check_mutants,
               {hook, header, {"worker/main.cpp", "if (mutant(Mutant::kLost)) return;"}},
               "outside the cores");
  check_caught(check_mutants, {hook, {"broker/core/settle.cpp", "mutant(Mutant::kLost);"}, header},
               "kLost is in the cores in 2 places");
  check_caught(check_mutants, {header}, "kLost is in the cores in 0 places");
}
