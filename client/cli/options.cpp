#include "client/cli/options.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/socket.hpp"
#include "protocol/version.hpp"

namespace achilles::cli {
namespace {

constexpr const char* kDefaultBroker = "tcp://127.0.0.1:5555";
constexpr double kLongestTimeout_s = 86400;

std::string version_text() {
  return "achilles " + std::string(protocol::kLibraryVersion) + ", protocol " +
         std::to_string(protocol::kProtocolVersion) + ", libzmq " + protocol::zmq_version();
}

Leave complain(const std::string& sentence) {
  return {"", "achilles: " + sentence + "\n", kExitUsage};
}

}  // namespace

std::variant<StatusOptions, Leave> parse_command_line(int argc, const char* const* argv,
                                                      const std::string& environment_broker) {
  CLI::App app("Looks at an achilles cluster.", "achilles");
  app.set_version_flag("--version", version_text(), "Print the versions and exit");
  app.require_subcommand(1);
  auto* status = app.add_subcommand("status", "Show the broker, its workers and its jobs");
  std::string broker = environment_broker.empty() ? kDefaultBroker : environment_broker;
  double timeout_s = 5;
  StatusOptions options;
  status
      ->add_option(
          "--broker", broker,
          "The broker's address, or several separated by commas, which are asked in turn; else "
          "$ACHILLES_BROKER, else " +
              std::string(kDefaultBroker))
      ->type_name("tcp://HOST:PORT[,…]");
  status->add_flag("--json", options.json, "Print JSON instead of a table");
  status
      ->add_option(
          "--why", options.why,
          "Say what this job waits for, and what happened to it; JOB as the table shows it")
      ->type_name("JOB");
  status->add_option("--timeout", timeout_s, "How long to wait for the broker (5)")
      ->type_name("SECONDS");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream errors;
    const int code = app.exit(error, out, errors);
    if (code == 0) return Leave{out.str(), "", 0};
    return Leave{"", "achilles: " + errors.str(), kExitUsage};
  }
  if (!(timeout_s > 0 && timeout_s <= kLongestTimeout_s)) {
    return complain("--timeout takes a number of seconds above 0 and up to 86400.");
  }
  options.timeout = std::chrono::milliseconds(std::llround(std::ceil(timeout_s * 1000)));
  try {
    for (const auto& endpoint : protocol::parse_peer_endpoints(broker)) {
      options.endpoints.push_back(protocol::to_string(endpoint));
    }
  } catch (const std::invalid_argument& error) {
    return complain(error.what());
  }
  return options;
}

}  // namespace achilles::cli
