#include "tests/chaos/party.hpp"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>

#include "tests/chaos/watch.hpp"

namespace achilles::tests {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTailLines = 25;

std::string kind_of(const std::string& target) {
  // "socket:[1234]", "anon_inode:[eventfd]", "/memfd:name (deleted)", a path.
  if (target.starts_with("anon_inode:")) return target.substr(11);
  const auto colon = target.find(':');
  if (colon != std::string::npos && !target.starts_with("/memfd")) return target.substr(0, colon);
  return target;
}

}  // namespace

Party::Party(std::string name, fs::path logs)
    : name_(std::move(name)), log_file_(std::move(logs) / (name_ + ".log")) {}

Party::~Party() {
  if (!process_) return;
  process_->kill();
  put_away();
}

void Party::start(const Launch& launch) {
  put_away();
  fs::create_directories(launch.folder);
  run_inside(launch.place, [&] {
    process_.emplace(launch.program,
                     ProcessOptions{.arguments = launch.arguments,
                                    .environment = {{"TMPDIR", launch.temporary.string()}},
                                    .folder = launch.folder});
  });
  stage_ = Stage::kRunning;
}

void Party::kill() {
  sample();
  process_->kill();
  put_away();
  stage_ = Stage::kDown;
}

std::optional<Ending> Party::take_ending() {
  if (stage_ != Stage::kLeaving || process_->running()) return std::nullopt;
  const auto ending = process_->wait();
  put_away();
  stage_ = Stage::kDown;
  return ending;
}

void Party::check_alive() {
  if (stage_ != Stage::kRunning || process_->running()) return;
  std::ostringstream what;
  what << name_ << " ended by itself, with " << *process_->wait();
  throw Failure(what.str());
}

void Party::sample() {
  if (stage_ == Stage::kDown) return;
  rss_peak_ = std::max(rss_peak_, memory_of(process_->pid(), "VmHWM"));
}

std::string Party::log() const {
  std::string text = read_file(log_file_);
  if (process_) text += process_->out() + process_->err();
  return text;
}

std::string Party::log_tail() const {
  return last_lines(log(), kTailLines);
}

void Party::put_away() {
  if (!process_) return;
  std::ofstream log(log_file_, std::ios::app | std::ios::binary);
  log << process_->out() << process_->err() << "---- pid " << process_->pid() << " is over ----\n";
  process_.reset();
}

bool takes_sigterm(pid_t pid) {
  // Our daemons block it, and read it from a descriptor.
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigBlk:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1) != 0;
  }
  return false;
}

Descriptors descriptors_of(pid_t pid) {
  std::map<std::string, int> kinds;
  Descriptors result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    std::error_code gone;
    const auto target = fs::read_symlink(entry.path(), gone);
    if (gone) continue;
    ++kinds[kind_of(target.string())];
    ++result.count;
  }
  for (const auto& [kind, count] : kinds) {
    if (!result.kinds.empty()) result.kinds += ", ";
    result.kinds += kind + " " + std::to_string(count);
  }
  return result;
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::size_t at = text.size();
  for (std::size_t lines = 0; at > 0; --at) {
    if (text[at - 1] == '\n' && at < text.size() && ++lines == count) break;
  }
  return text.substr(at);
}

}  // namespace achilles::tests
