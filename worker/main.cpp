#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <random>
#include <string>
#include <variant>

#include "protocol/kept_memory.hpp"
#include "protocol/transport/signals.hpp"
#include "worker/options.hpp"
#include "worker/slots.hpp"
#include "worker/worker_shell.hpp"

using namespace achilles;

namespace {

/// Each task process takes four descriptors; the usual soft limit of 1024 is short on large
/// machines.
constexpr rlim_t kDescriptorsWanted = 65536;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown host";
}

std::uint64_t random_id() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kDescriptorsWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kDescriptorsWanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string joined(const std::vector<std::string>& endpoints) {
  std::string text;
  for (const auto& endpoint : endpoints) text += (text.empty() ? "" : ",") + endpoint;
  return text;
}

int work(const worker::WorkerOptions& options) {
  protocol::SignalWatcher signals;
  const std::string endpoints = joined(options.endpoints);
  worker::WorkerShellOptions shell_options;
  shell_options.endpoints = options.endpoints;
  shell_options.name = options.name;
  shell_options.host = host_name();
  shell_options.cache_folder = options.cache_folder;
  shell_options.id = random_id();
  shell_options.slots = options.slots;
  shell_options.connect_timeout = options.connect_timeout;
  worker::WorkerShell shell(std::move(shell_options));
  shell.watch_signals(signals);
  spdlog::info("worker {} with {} slots, programs in {}, connecting to the broker at {}",
               options.name, options.slots, options.cache_folder, endpoints);
  switch (shell.run()) {
    case worker::WorkerShell::End::kLeft:
      spdlog::info("left the cluster");
      return 0;
    case worker::WorkerShell::End::kStopped:
      return worker::kExitFailure;
    case worker::WorkerShell::End::kNoBroker:
      spdlog::error(
          "gave up: no answer from the broker at {} within {} s; start achilles-broker there, or "
          "give "
          "its address with --broker",
          endpoints, static_cast<double>(options.connect_timeout.count()) / 1000);
      return worker::kExitFailure;
  }
  return worker::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  protocol::keep_freed_memory(protocol::kDaemonKeepsLargest, protocol::kDaemonKeeps);
  worker::Surroundings surroundings;
  surroundings.broker = environment("ACHILLES_BROKER");
  surroundings.cache_home = environment("XDG_CACHE_HOME");
  surroundings.home = environment("HOME");
  surroundings.host_name = host_name();
  surroundings.usable_cores = worker::usable_cores();
  const auto command = worker::parse_command_line(argc, argv, surroundings);
  if (const auto* leave = std::get_if<worker::LeaveAtOnce>(&command)) {
    std::cout << leave->out << std::flush;
    std::cerr << leave->errors;
    return leave->exit_code;
  }
  const auto& options = std::get<worker::WorkerOptions>(command);

  ::signal(SIGPIPE, SIG_IGN);  // A log that nobody reads any more ends no worker.
  raise_descriptor_limit();
  spdlog::set_default_logger(spdlog::stderr_logger_mt("achilles-worker"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  try {
    return work(options);
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
    return worker::kExitFailure;
  }
}
