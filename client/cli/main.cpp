#include <cstdlib>
#include <iostream>
#include <string>

#include "client/cli/ask_broker.hpp"
#include "client/cli/options.hpp"
#include "client/cli/status_text.hpp"
#include "client/cli/why_text.hpp"

using namespace achilles;

namespace {

int print_why(const protocol::WhyReply& why, const std::string& endpoint,
              const cli::StatusOptions& options) {
  if (why.reasons.empty()) {
    std::cerr << "achilles: the broker at " << endpoint << " has no open job " << options.why
              << "; achilles status lists those that it has.\n";
    return cli::kExitFailure;
  }
  std::cout << (options.json ? cli::why_json(why) : cli::why_text(why)) << std::flush;
  return std::cout ? 0 : cli::kExitFailure;
}

int print_status(const protocol::StatusReply& status, const std::string& endpoint,
                 const cli::StatusOptions& options) {
  std::cout << (options.json ? cli::status_json(status, endpoint)
                             : cli::status_table(status, endpoint))
            << std::flush;
  return std::cout ? 0 : cli::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const broker = std::getenv("ACHILLES_BROKER");
  const auto command = cli::parse_command_line(argc, argv, broker != nullptr ? broker : "");
  if (const auto* leave = std::get_if<cli::Leave>(&command)) {
    std::cout << leave->out;
    std::cerr << leave->errors;
    return leave->exit_code;
  }
  const auto& options = std::get<cli::StatusOptions>(command);
  protocol::Message request = protocol::StatusRequest{};
  if (!options.why.empty()) request = protocol::WhyRequest{options.why};
  // In turn, as clients and workers do: the first that answers is the one that they are with.
  const auto timeout = options.timeout / options.endpoints.size();
  for (const auto& endpoint : options.endpoints) {
    const auto answer = cli::ask_broker(endpoint, request, timeout, [&] {
      std::cerr << "achilles: waiting for the broker at " << endpoint << " (at most "
                << static_cast<double>(timeout.count()) / 1000 << " s)" << std::endl;
    });
    if (const auto* none = std::get_if<cli::NoAnswer>(&answer)) {
      std::cerr << "achilles: " << none->sentence << '\n';
      continue;
    }
    const auto& reply = std::get<protocol::Message>(answer);
    if (const auto* why = std::get_if<protocol::WhyReply>(&reply)) {
      return print_why(*why, endpoint, options);
    }
    return print_status(std::get<protocol::StatusReply>(reply), endpoint, options);
  }
  return cli::kExitFailure;
}
