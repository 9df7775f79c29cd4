#include "client/cli/options.hpp"

#include <initializer_list>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using namespace achilles::cli;

namespace {

std::variant<StatusOptions, Leave> parse(std::initializer_list<const char*> arguments,
                                         const std::string& environment_broker = "") {
  std::vector<const char*> argv{"achilles"};
  argv.insert(argv.end(), arguments);
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), environment_broker);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the broker is the option, else the environment's, else the default") {
  using Options = StatusOptions;
  CHECK(std::get<Options>(parse({"status"})).endpoints ==
        std::vector<std::string>{"tcp://127.0.0.1:5555"});
  CHECK(std::get<Options>(parse({"status"}, "tcp://head:1")).endpoints ==
        std::vector<std::string>{"tcp://head:1"});
  CHECK(std::get<Options>(parse({"status", "--broker", "tcp://n1:2"}, "tcp://head:1")).endpoints ==
        std::vector<std::string>{"tcp://n1:2"});
}

TEST_CASE("json and timeout") {
  const auto options = std::get<StatusOptions>(parse({"status", "--json", "--timeout", "0.25"}));
  CHECK(options.json);
  CHECK(options.timeout == std::chrono::milliseconds(250));
  CHECK(std::get<StatusOptions>(parse({"status"})).timeout == std::chrono::seconds(5));
}

TEST_CASE("a job may be asked about") {
  CHECK(std::get<StatusOptions>(parse({"status", "--why", "7f3a9c21/4"})).why == "7f3a9c21/4");
  CHECK(std::get<StatusOptions>(parse({"status"})).why.empty());
}

TEST_CASE("help and version go to stdout and succeed") {
  const auto version = std::get<Leave>(parse({"--version"}));
  CHECK(version.exit_code == 0);
  CHECK(version.out.starts_with("achilles 0.1.0, protocol 1, libzmq 4."));
  const auto help = std::get<Leave>(parse({"status", "--help"}));
  CHECK(help.exit_code == 0);
  CHECK(contains(help.out, "--broker tcp://HOST:PORT"));
  CHECK(help.errors.empty());
}

TEST_CASE("bad usage is explained on stderr and exits with 2") {
  const auto leave =
      GENERATE(parse({}), parse({"stats"}), parse({"status", "--brokr", "x"}),
               parse({"status", "--timeout", "soon"}), parse({"status", "--timeout", "0"}),
               parse({"status", "--timeout", "nan"}), parse({"status", "--broker", "head:5555"}),
               parse({"status", "--broker", "tcp://*:5555"}), parse({"status"}, "nonsense"));
  REQUIRE(std::holds_alternative<Leave>(leave));
  CHECK(std::get<Leave>(leave).exit_code == 2);
  CHECK(std::get<Leave>(leave).errors.starts_with("achilles: "));
  CHECK(std::get<Leave>(leave).out.empty());
}
