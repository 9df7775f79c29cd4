#include <cstdlib>
#include <iostream>
#include <string>

#include "client/cli/ask_status.hpp"
#include "client/cli/options.hpp"
#include "client/cli/status_text.hpp"

using namespace achilles;

int main(int argc, char** argv) {
  const char* const broker = std::getenv("ACHILLES_BROKER");
  const auto command = cli::parse_command_line(argc, argv, broker != nullptr ? broker : "");
  if (const auto* leave = std::get_if<cli::Leave>(&command)) {
    std::cout << leave->out;
    std::cerr << leave->errors;
    return leave->exit_code;
  }
  const auto& options = std::get<cli::StatusOptions>(command);
  const auto answer = cli::ask_status(options.endpoint, options.timeout, [&] {
    std::cerr << "achilles: waiting for the broker at " << options.endpoint << " (at most "
              << static_cast<double>(options.timeout.count()) / 1000 << " s)" << std::endl;
  });
  if (const auto* none = std::get_if<cli::NoAnswer>(&answer)) {
    std::cerr << "achilles: " << none->sentence << '\n';
    return cli::kExitFailure;
  }
  const auto& status = std::get<protocol::StatusReply>(answer);
  std::cout << (options.json ? cli::status_json(status, options.endpoint)
                             : cli::status_table(status, options.endpoint))
            << std::flush;
  return std::cout ? 0 : cli::kExitFailure;
}
