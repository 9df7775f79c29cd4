#include "broker/options.hpp"

#include <CLI/CLI.hpp>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/socket.hpp"
#include "protocol/version.hpp"

namespace achilles::broker {

namespace {

std::string version_text() {
  return "achilles-broker " + std::string(protocol::kLibraryVersion) + ", protocol " +
         std::to_string(protocol::kProtocolVersion) + ", libzmq " + protocol::zmq_version();
}

Exit usage(const std::string& sentence) {
  return {kExitUsage, "achilles-broker: " + sentence + "\n"};
}

}  // namespace

std::variant<BrokerOptions, Exit> parse_options(int argc, const char* const* argv) {
  BrokerOptions options;
  CLI::App app(
      "Brings together the programs that use an achilles::Pool and the achilles-workers that run "
      "their tasks.",
      "achilles-broker");
  app.add_option("--bind", options.bind,
                 "Where to listen, tcp://HOST:PORT; port 0 lets the system choose. The endpoint is "
                 "printed as the first line of stdout.")
      ->capture_default_str();
  app.add_flag("--insecure", options.insecure,
               "Allow --bind to addresses other than loopback. There are no keys yet: anyone who "
               "can reach the endpoint can run programs as the users of the workers.");
  app.add_option("--log-level", options.log_level, "How much to log on stderr.")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.add_option("--heartbeat-ms", options.heartbeat_interval_ms,
                 "Heartbeat interval in milliseconds; a peer is given up for lost after five.")
      ->check(CLI::Range(10, 600'000))
      ->capture_default_str();
  app.add_option("--client-grace-s", options.client_grace_s,
                 "For so many seconds a program that fell silent (stopped, or its machine is "
                 "unreachable) may come back to its jobs; then they end.")
      ->check(CLI::Range(1, 30 * 24 * 3600))
      ->capture_default_str();
  app.add_option("--memory-mib", options.memory_mib,
                 "Inputs of unfinished work that the broker may hold, in MiB; at that, it opens no "
                 "more jobs.")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  app.add_option(
         "--max-payload-mib", options.max_payload_mib,
         "The largest item, chunk or chunk's results, in MiB. Larger ones are errors of the "
         "call that makes them; every hop needs memory for those that are under way.")
      ->check(CLI::Range(std::uint64_t{1}, protocol::kMaxPayloadBytes >> 20))
      ->capture_default_str();
  bool reaches_beyond = false;
  app.set_version_flag("--version", version_text(), "Print the versions and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(end, out, err);
    if (code == 0) return Exit{0, out.str()};
    return Exit{kExitUsage, "achilles-broker: " + err.str()};
  }
  try {
    const auto endpoint = protocol::parse_endpoint(options.bind);
    options.bind = protocol::to_string(endpoint);
    reaches_beyond = !protocol::is_loopback(endpoint);
  } catch (const std::invalid_argument& flaw) {
    return usage(std::string("--bind ") + flaw.what());
  }
  if (reaches_beyond && !options.insecure) {
    return usage(
        "--bind " + options.bind +
        " can be reached from other machines. There are no keys and no encryption yet: anyone who "
        "can reach it could run programs as you on every worker. Bind to 127.0.0.1, or add "
        "--insecure if you trust everyone on that network.");
  }
  return options;
}

}  // namespace achilles::broker
