// W7: from the start of a program to its first result.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "bench/stopwatch.hpp"
#include "bench/workload.hpp"

extern char** environ;

namespace achilles::bench {
namespace {

/// Milliseconds until the program's first output is there.
double start_once(const std::map<std::string, std::string>& environment) {
  std::vector<std::string> texts;
  for (char** at = environ; *at != nullptr; ++at) {
    if (!std::string_view(*at).starts_with("ACHILLES_") &&
        !std::string_view(*at).starts_with("XDG_CONFIG_HOME="))
      texts.emplace_back(*at);
  }
  for (const auto& [name, value] : environment) texts.push_back(name + "=" + value);
  // No access file of the user's: with nothing configured the program's Pool is embedded.
  if (environment.empty()) texts.emplace_back("XDG_CONFIG_HOME=/nonexistent");
  std::vector<char*> variables;
  for (auto& text : texts) variables.push_back(text.data());
  variables.push_back(nullptr);

  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  std::string program = ACHILLES_BENCH_START_PROGRAM;
  char* arguments[] = {program.data(), nullptr};
  pid_t pid = 0;
  const Stopwatch watch;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, variables.data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  std::string text(16, '\0');
  const ssize_t got = error == 0 ? ::read(pipe[0], text.data(), text.size()) : 0;
  const double seconds = watch.seconds();
  ::close(pipe[0]);
  if (error == 0) ::waitpid(pid, nullptr, 0);
  expect(got == 3 && text.starts_with("49\n"), "what " + program + " prints");
  return seconds * 1e3;
}

Sample run_first_result(const Place& place, const Settings& settings) {
  const std::uint64_t times = settings.size(20, 3);
  double sum = 0;
  for (std::uint64_t i = 0; i < times; ++i) sum += start_once(place.environment());
  return {sum / static_cast<double>(times)};
}

}  // namespace

Workload first_result() {
  return {.name = "W7",
          .title = "program start to first result",
          .unit = "ms",
          .higher_is_better = false,
          .run = run_first_result};
}

}  // namespace achilles::bench
