// Stands in for a user's program in the tests: each OPEN_JOB's label is a line of a script, and the
// results of a chunk are its items.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <variant>

#include "protocol/version.hpp"
#include "worker/task_channel.hpp"
#include "worker/task_memory.hpp"
#include "worker/task_process.hpp"

namespace {

using namespace achilles;

void answer(worker::TaskChannel& channel, const std::string& text) {
  protocol::OpenJob reply;
  reply.label = text;
  channel.send(reply);
  channel.flush();
}

std::string read_link(const std::string& path) {
  char target[4096];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  return size < 0 ? "none" : std::string(target, static_cast<std::size_t>(size));
}

void touch(const std::string& path) {
  if (std::FILE* file = std::fopen(path.c_str(), "w")) std::fclose(file);
}

void obey(worker::TaskChannel& channel, worker::TaskPage& page, const protocol::OpenJob& order) {
  const std::string& line = order.label;
  const auto space = line.find(' ');
  const std::string verb = line.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
  if (verb == "echo") {
    channel.send(order);
    channel.flush();
  } else if (verb == "exit") {
    std::exit(std::atoi(rest.c_str()));
  } else if (verb == "answer_and_exit") {
    for (int i = 0; i < 100; ++i) answer(channel, std::to_string(i));
    ::_exit(std::atoi(rest.c_str()));
  } else if (verb == "raise") {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    page.running_item.store(17);
    page.running_attempt.store(5);
    const int signal = std::atoi(rest.c_str());
    ::signal(signal, SIG_DFL);  // A sanitizer would turn it into an exit status.
    ::raise(signal);
  } else if (verb == "stderr") {
    std::fprintf(stderr, "%s\n", rest.c_str());
  } else if (verb == "getenv") {
    const char* value = std::getenv(rest.c_str());
    answer(channel, value ? value : "unset");
  } else if (verb == "fd") {
    answer(channel, read_link("/proc/self/fd/" + rest));
  } else if (verb == "folder") {
    char* folder = ::get_current_dir_name();
    answer(channel, folder);
    std::free(folder);
  } else if (verb == "touch") {
    touch(rest);
    answer(channel, "touched");
  } else if (verb == "touch_and_hang") {
    touch(rest);
    while (true) ::pause();
  } else if (verb == "garbage") {
    if (::write(worker::kTaskSocketFd, "garbage!", 8) != 8) std::exit(9);
  } else if (verb == "wait_for_skip") {
    while (!worker::asked_to_skip(page, order.job)) std::this_thread::yield();
    answer(channel, "skipped");
  } else if (verb == "is_skipped") {
    answer(channel, worker::asked_to_skip(page, order.job) ? "yes" : "no");
  } else if (verb == "fork") {
    const pid_t child = ::fork();
    if (child == 0) {
      while (true) ::pause();
    }
    answer(channel, std::to_string(child));
  }
}

}  // namespace

int main(int, char** argv) {
  const auto memory = worker::map_task_memory(worker::kTaskMemoryFd);
  if (!memory) return 7;
  auto& page = memory->page;
  worker::TaskChannel channel(worker::kTaskSocketFd, worker::results_arena(memory),
                              worker::inputs_arena(memory));
  protocol::TaskReady ready;
  if (const char* name = std::getenv(worker::kTaskProgramEnvironment)) {
    ready.program = protocol::program_from_hex(name).value_or(protocol::ProgramId{});
  }
  ready.pid = static_cast<std::uint32_t>(::getpid());
  channel.send(ready);
  if (channel.flush() != worker::TaskChannel::Io::kDone) return 8;
  (void)argv;
  while (channel.receive([&](protocol::Message message) {
    if (auto* order = std::get_if<protocol::OpenJob>(&message)) obey(channel, page, *order);
    if (const auto* work = std::get_if<protocol::Assign>(&message)) {
      protocol::Results results;
      for (const auto& given : work->chunks) {
        results.chunks.push_back(
            {given.job, given.attempt, given.chunk.first, 1, given.chunk.items, {}});
      }
      channel.send(results);
      channel.flush();
    }
  }) == worker::TaskChannel::Io::kDone) {
  }
  return 0;
}
