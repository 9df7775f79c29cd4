// achilles-sim.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <string>

#include "tests/sim/broker_meter.hpp"
#include "tests/sim/program_options.hpp"
#include "tests/sim/world.hpp"

namespace {

using namespace achilles::sim;

constexpr int kExitBroken = 1;
/// What led to a failure, in messages.
constexpr std::size_t kLastMessages = 60;

/// For a crash of the program itself: a check of the cores that ends the process, for one.
char running_command[512];

extern "C" void say_command(int signal) {
  const char text[] = "achilles-sim crashed; to see it again: ";
  // What cannot be written cannot be helped.
  [[maybe_unused]] auto ignored = write(STDERR_FILENO, text, sizeof text - 1);
  ignored = write(STDERR_FILENO, running_command, std::strlen(running_command));
  ignored = write(STDERR_FILENO, "\n", 1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

std::string line_of(p::TimePoint at, std::string_view what) {
  return std::to_string((at - p::TimePoint(1h)) / 1us) + " us  " + std::string(what) + "\n";
}

/// Runs the world of a broken promise once more, for what was said before.
std::string last_messages(const ProgramOptions& options, std::uint64_t seed) {
  World world(options.plan(seed));
  std::deque<std::string> last;
  world.on_story = [&](p::TimePoint at, std::string_view what) {
    last.push_back(line_of(at, what));
    if (last.size() > kLastMessages) last.pop_front();
  };
  try {
    world.run();
  } catch (const Broken&) {
    // It is expected.
  }
  std::string text;
  for (const auto& line : last) text += line;
  return text;
}

Tally run_one(const ProgramOptions& options, std::uint64_t seed) {
  std::snprintf(running_command, sizeof running_command, "%s", command_for(options, seed).c_str());
  World world(options.plan(seed));
  if (options.story) {
    world.on_story = [](p::TimePoint at, std::string_view what) {
      std::fputs(line_of(at, what).c_str(), stdout);
    };
  }
  std::optional<BrokerMeter> meter;
  if (options.measure) meter.emplace(world);
  world.run();
  const Tally tally = world.tally();
  if (meter) std::fputs(meter->describe().c_str(), stdout);
  if (options.verbose) {
    std::printf("seed %llu: %.1f virtual seconds, %llu chunks, %llu messages, digest %016llx\n",
                static_cast<unsigned long long>(seed),
                std::chrono::duration<double>(tally.virtual_time).count(),
                static_cast<unsigned long long>(tally.delivered_chunks),
                static_cast<unsigned long long>(tally.messages),
                static_cast<unsigned long long>(world.digest()));
  }
  return tally;
}

int run(const ProgramOptions& options) {
  std::printf("%s --seeds %llu\n", command_for(options, options.seed).c_str(),
              static_cast<unsigned long long>(options.seeds));
  std::fflush(stdout);
  const auto began = std::chrono::steady_clock::now();
  Tally total;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
    try {
      total += run_one(options, seed);
    } catch (const Broken& broken) {
      std::fflush(stdout);
      std::fprintf(stderr, "BROKEN\n%s\n", broken.what());
      if (!options.story) {
        std::fprintf(stderr, "The last messages (> to the broker, < from it):\n%s",
                     last_messages(options, seed).c_str());
      }
      std::fprintf(stderr, "To see it again: %s --story\n", command_for(options, seed).c_str());
      return kExitBroken;
    }
  }
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("%s%-16s %12.2f  of wall time, %.2f of CPU time, %.2f us a chunk\n",
              total.describe().c_str(), "seconds", wall, cpu_seconds(),
              1e6 * cpu_seconds() /
                  static_cast<double>(std::max<std::uint64_t>(total.delivered_chunks, 1)));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
    std::signal(signal, say_command);
  try {
    auto parsed = parse_options(argc, argv);
    if (const auto* end = std::get_if<Exit>(&parsed)) {
      std::fputs(end->text.c_str(), end->code == 0 ? stdout : stderr);
      return end->code;
    }
    return run(std::get<ProgramOptions>(parsed));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "achilles-sim: %s\n", failure.what());
    return kExitBroken;
  }
}
