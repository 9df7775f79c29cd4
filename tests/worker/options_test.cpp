#include "worker/options.hpp"

#include <string>
#include <variant>
#include <vector>

#include "tests/support/catch.hpp"

namespace {

using namespace achilles::worker;

std::variant<WorkerOptions, LeaveAtOnce> parse(std::vector<const char*> words,
                                               Surroundings surroundings = {}) {
  if (surroundings.home.empty()) surroundings.home = "/h";
  if (surroundings.host_name.empty()) surroundings.host_name = "n3";
  surroundings.usable_cores = 6;
  words.insert(words.begin(), "achilles-worker");
  return parse_command_line(static_cast<int>(words.size()), words.data(), surroundings);
}

std::string complaint(const std::vector<const char*>& words) {
  const auto leave = std::get<LeaveAtOnce>(parse(words));
  REQUIRE(leave.exit_code == 2);
  return leave.out + leave.errors;
}

}  // namespace

TEST_CASE("a worker that is told nothing serves this machine's broker with all its cores") {
  const auto options = std::get<WorkerOptions>(parse({}));
  REQUIRE(options.endpoints == std::vector<std::string>{"tcp://127.0.0.1:5555"});
  REQUIRE(options.slots == 6);
  REQUIRE(options.name == "n3");
  REQUIRE(options.cache_folder == "/h/.cache/achilles");
  REQUIRE(options.connect_timeout.count() == 0);
}

TEST_CASE("the environment says where broker and cache are, the command line has the last word") {
  Surroundings surroundings;
  surroundings.broker = "tcp://127.0.0.1:7000";
  surroundings.cache_home = "/c";
  auto options = std::get<WorkerOptions>(parse({}, surroundings));
  REQUIRE(options.endpoints == std::vector<std::string>{"tcp://127.0.0.1:7000"});
  REQUIRE(options.cache_folder == "/c/achilles");
  options =
      std::get<WorkerOptions>(parse({"--broker", "tcp://127.0.0.1:7001", "--cache", "/d", "--slots",
                                     "3", "--name", "x", "--connect-timeout", "1.5"},
                                    surroundings));
  REQUIRE(options.endpoints == std::vector<std::string>{"tcp://127.0.0.1:7001"});
  REQUIRE(options.cache_folder == "/d");
  REQUIRE(options.slots == 3);
  REQUIRE(options.name == "x");
  REQUIRE(options.connect_timeout.count() == 1500);
}

TEST_CASE("a broker on another machine needs a word of trust") {
  REQUIRE(complaint({"--broker", "tcp://n7:5555"}).find("--insecure") != std::string::npos);
  REQUIRE(std::get<WorkerOptions>(parse({"--broker", "tcp://n7:5555", "--insecure"})).endpoints ==
          std::vector<std::string>{"tcp://n7:5555"});
}

TEST_CASE("what cannot be meant is refused with exit code 2") {
  REQUIRE(complaint({"--slots", "0"}).find("--slots") != std::string::npos);
  REQUIRE(complaint({"--slots", "many"}).find("slots") != std::string::npos);
  REQUIRE(complaint({"--connect-timeout", "-1"}).find("--connect-timeout") != std::string::npos);
  REQUIRE(complaint({"--name", ""}).find("--name") != std::string::npos);
  REQUIRE_FALSE(complaint({"--broker", "n7"}).empty());
  REQUIRE_FALSE(complaint({"--log-level", "loud"}).empty());
  REQUIRE(complaint({"--unknown"}).starts_with("achilles-worker: "));
}

TEST_CASE("help and version are answers, not errors") {
  const auto version = std::get<LeaveAtOnce>(parse({"--version"}));
  REQUIRE(version.exit_code == 0);
  REQUIRE(version.out.starts_with("achilles-worker 0."));
  REQUIRE(version.out.find(", protocol 1, libzmq ") != std::string::npos);
  const auto help = std::get<LeaveAtOnce>(parse({"--help"}));
  REQUIRE(help.exit_code == 0);
  for (const char* option : {"--broker", "--slots", "--cache", "--name", "--insecure"}) {
    REQUIRE(help.out.find(option) != std::string::npos);
  }
}
