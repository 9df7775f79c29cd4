#include "worker/scratch_folders.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "worker/descriptor.hpp"

namespace achilles::worker {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "achilles-scratch-";
/// A folder this young may be about to be locked by the worker that just made it.
constexpr std::chrono::minutes kYoung{1};

/// Empty when it cannot be made.
std::string make_unique_folder(const std::string& parent) {
  std::error_code error;
  fs::create_directories(parent, error);
  std::string folder = parent + "/" + kPrefix + "XXXXXX";
  return ::mkdtemp(folder.data()) ? folder : std::string();
}

/// The lock ends with the process that holds it, however it ends.
Descriptor lock_folder(const std::string& folder) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
  return fd;
}

/// Users take the right to write from folders of theirs, which keeps what is inside from being
/// removed.
void remove_tree(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return;
  std::error_code ignored;
  for (fs::recursive_directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    std::error_code gone;
    if (entry->is_directory(gone) && !entry->is_symlink(gone)) {
      fs::permissions(entry->path(), fs::perms::owner_all, fs::perm_options::add, gone);
    }
  }
  fs::remove_all(folder, ignored);
}

void remove_abandoned(const fs::path& parent) {
  std::error_code ignored;
  const auto now = fs::file_time_type::clock::now();
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    std::error_code gone;
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    const auto changed = entry.last_write_time(gone);
    if (gone || now - changed < kYoung) continue;
    if (const Descriptor lock = lock_folder(entry.path().string())) remove_tree(entry.path());
  }
}

}  // namespace

struct ScratchFolders::State {
  std::string root;
  Descriptor lock;

  std::mutex mutex;  // Guards the queue.
  std::condition_variable changed;
  std::deque<std::string> discarded;
  bool ending = false;
  std::thread thread;

  void run() {
    remove_abandoned(fs::path(root).parent_path());
    std::unique_lock guard(mutex);
    while (true) {
      changed.wait(guard, [&] { return ending || !discarded.empty(); });
      if (discarded.empty()) return;
      const std::string folder = std::move(discarded.front());
      discarded.pop_front();
      guard.unlock();
      remove_tree(folder);
      guard.lock();
    }
  }
};

ScratchFolders::ScratchFolders(const std::string& parent) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.root = make_unique_folder(parent);
  if (state.root.empty()) {
    std::error_code error;
    const std::string temporary = fs::temp_directory_path(error).string();
    if (!error) state.root = make_unique_folder(temporary);
  }
  if (state.root.empty()) {
    throw std::system_error(errno, std::generic_category(),
                            "no folder for the task processes to work in can be made, neither in " +
                                parent + " nor where temporary files go (set --cache or $TMPDIR)");
  }
  state.lock = lock_folder(state.root);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  state.thread = std::thread([&state] { state.run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ScratchFolders::~ScratchFolders() {
  {
    const std::lock_guard guard(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_one();
  state_->thread.join();
  remove_tree(state_->root);
}

const std::string& ScratchFolders::root() const {
  return state_->root;
}

std::string ScratchFolders::make(const std::string& name) {
  std::string folder = state_->root + "/" + name + "-XXXXXX";
  if (!::mkdtemp(folder.data())) {
    throw std::system_error(errno, std::generic_category(),
                            "no folder for a task process can be made in " + state_->root);
  }
  return folder;
}

void ScratchFolders::discard(std::string folder) {
  {
    const std::lock_guard guard(state_->mutex);
    state_->discarded.push_back(std::move(folder));
  }
  state_->changed.notify_one();
}

}  // namespace achilles::worker
