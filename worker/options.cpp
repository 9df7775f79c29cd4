#include "worker/options.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/socket.hpp"
#include "protocol/version.hpp"

namespace achilles::worker {
namespace {

constexpr const char* kDefaultBroker = "tcp://127.0.0.1:5555";
constexpr std::int64_t kSlotsMax = 65536;
constexpr double kTimeoutMax_s = 1e6;
constexpr std::size_t kNameBytesMax = 256;

std::string version_text() {
  return "achilles-worker " + std::string(protocol::kLibraryVersion) + ", protocol " +
         std::to_string(protocol::kProtocolVersion) + ", libzmq " + protocol::zmq_version();
}

LeaveAtOnce complain(const std::string& sentence) {
  return {"", "achilles-worker: " + sentence + "\n", kExitUsage};
}

std::string default_cache_folder(const Surroundings& surroundings) {
  // The XDG specification has relative paths ignored.
  if (surroundings.cache_home.starts_with('/')) return surroundings.cache_home + "/achilles";
  if (surroundings.home.starts_with('/')) return surroundings.home + "/.cache/achilles";
  return {};
}

}  // namespace

std::variant<WorkerOptions, LeaveAtOnce> parse_command_line(int argc, const char* const* argv,
                                                            const Surroundings& surroundings) {
  WorkerOptions options;
  std::string broker = surroundings.broker.empty() ? kDefaultBroker : surroundings.broker;
  std::int64_t slots = surroundings.usable_cores;
  double timeout_s = 0;
  bool insecure = false;
  options.name = surroundings.host_name;
  options.cache_folder = default_cache_folder(surroundings);
  options.log_level = "info";

  CLI::App app("Runs this machine's share of an achilles cluster's jobs.", "achilles-worker");
  app.set_version_flag("--version", version_text(), "Print the versions and exit");
  app.add_option("--broker", broker,
                 "The broker's address, or several separated by commas: the first that answers is "
                 "taken; else $ACHILLES_BROKER, else " +
                     std::string(kDefaultBroker))
      ->type_name("tcp://HOST:PORT[,…]");
  app.add_option("--slots", slots,
                 "Task processes at a time; else one for each usable core (" +
                     std::to_string(surroundings.usable_cores) + ")")
      ->type_name("N");
  app.add_option("--cache", options.cache_folder,
                 "Where programs are kept; else $XDG_CACHE_HOME/achilles or ~/.cache/achilles")
      ->type_name("FOLDER");
  app.add_option("--name", options.name, "What messages call this worker; else the host's name")
      ->type_name("NAME");
  app.add_option("--connect-timeout", timeout_s,
                 "Give up when the broker has not answered after so long; 0, the default: never")
      ->type_name("SECONDS");
  app.add_flag("--insecure", insecure,
               "Connect to another machine without keys: whoever can reach that broker, or pose as "
               "it, runs programs here as you");
  app.add_option("--log-level", options.log_level, "What is logged to stderr; else info")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream errors;
    const int code = app.exit(error, out, errors);
    if (code == 0) return LeaveAtOnce{out.str(), "", 0};
    return LeaveAtOnce{"", "achilles-worker: " + errors.str(), kExitUsage};
  }

  if (slots < 1 || slots > kSlotsMax) {
    return complain("--slots takes a number from 1 to " + std::to_string(kSlotsMax) + ".");
  }
  options.slots = static_cast<std::uint32_t>(slots);
  if (!(timeout_s >= 0 && timeout_s <= kTimeoutMax_s)) {
    return complain("--connect-timeout takes a number of seconds from 0 (for ever) to 1000000.");
  }
  options.connect_timeout = std::chrono::milliseconds(std::llround(std::ceil(timeout_s * 1000)));
  if (options.name.empty() || options.name.size() > kNameBytesMax) {
    return complain("--name takes 1 to " + std::to_string(kNameBytesMax) + " characters.");
  }
  if (options.cache_folder.empty()) {
    return complain(
        "there is no folder to keep programs in: neither $XDG_CACHE_HOME nor $HOME is set. Give "
        "one "
        "with --cache.");
  }
  try {
    for (const auto& endpoint : protocol::parse_peer_endpoints(broker)) {
      options.endpoints.push_back(protocol::to_string(endpoint));
      if (insecure || protocol::is_loopback(endpoint)) continue;
      return complain(
          options.endpoints.back() +
          " is not on this machine, and this version of achilles has no keys yet: "
          "whoever can reach that broker, or pose as it, could run programs here as you. "
          "On a network where you trust everyone, say so with --insecure.");
    }
  } catch (const std::invalid_argument& error) {
    return complain(error.what());
  }
  return options;
}

}  // namespace achilles::worker
