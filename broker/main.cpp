// achilles-broker.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <random>

#include "broker/broker_shell.hpp"
#include "broker/options.hpp"
#include "protocol/kept_memory.hpp"

namespace {

using namespace achilles;

/// One descriptor a peer: the default of 1024 would be the size of the cluster.
void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  constexpr rlim_t kEnough = 1 << 20;
  limit.rlim_cur = limit.rlim_max < kEnough ? limit.rlim_max : kEnough;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    spdlog::warn(
        "The limit of open files could not be raised; raise it with ulimit -n if peers are "
        "refused.");
  }
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

protocol::BootId draw_boot() {
  std::random_device device;
  return {std::uint64_t{device()} << 32 | device()};
}

void log_note(const broker::Note& note) {
  spdlog::log(
      note.level == broker::Note::Level::kWarning ? spdlog::level::warn : spdlog::level::info, "{}",
      note.text);
}

int run(const broker::BrokerOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("achilles-broker"));
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
  spdlog::flush_on(spdlog::level::info);
  raise_open_files_limit();

  protocol::SignalWatcher signals;  // Before ZeroMQ starts its thread.
  protocol::Context context;
  broker::ShellOptions shell_options;
  shell_options.scheduler.boot = draw_boot();
  shell_options.scheduler.heartbeat_interval =
      std::chrono::milliseconds(options.heartbeat_interval_ms);
  shell_options.scheduler.client_grace = std::chrono::seconds(options.client_grace_s);
  shell_options.scheduler.kept_bytes_max = options.memory_mib << 20;
  shell_options.scheduler.max_payload_bytes = options.max_payload_mib << 20;
  shell_options.scheduler.host = host_name();
  shell_options.scheduler.pid = static_cast<std::uint32_t>(getpid());
  broker::BrokerShell shell(context, std::move(shell_options), log_note);
  const std::string endpoint = shell.bind(options.bind);
  std::printf("%s\n", endpoint.c_str());
  std::fflush(stdout);
  if (options.insecure) {
    spdlog::warn(
        "--insecure: nothing is encrypted, and anyone who can reach {} can run programs here.",
        endpoint);
  }
  spdlog::info("Listening on {}.", endpoint);
  shell.run(&signals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  protocol::keep_freed_memory(protocol::kDaemonKeepsLargest, protocol::kDaemonKeeps);
  try {
    auto parsed = achilles::broker::parse_options(argc, argv);
    if (const auto* end = std::get_if<achilles::broker::Exit>(&parsed)) {
      std::fputs(end->text.c_str(), end->code == 0 ? stdout : stderr);
      return end->code;
    }
    return run(std::get<achilles::broker::BrokerOptions>(parsed));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "achilles-broker: %s\n", failure.what());
    return achilles::broker::kExitFailure;
  }
}
