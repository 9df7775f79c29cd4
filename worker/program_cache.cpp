#include "worker/program_cache.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "protocol/content_hash.hpp"
#include "protocol/limits.hpp"
#include "worker/descriptor.hpp"
#include "worker/mapped_file.hpp"
#include "worker/preflight.hpp"
#include "worker/program_file.hpp"
#include "worker/program_folder.hpp"

namespace achilles::worker {
namespace {

using protocol::ProgramId;
using protocol::ProgramPart;

/// Programs that arrive at the same time; beyond it the one begun first is forgotten.
constexpr std::size_t kCollectionsMax = 16;
constexpr std::size_t kHashPieceBytes = 4 << 20;

/// A program whose parts are arriving.
class Collection {
 public:
  Collection(ProgramId program, std::uint64_t total_bytes, const std::string& folder)
      : program_(program),
        total_bytes_(total_bytes),
        arrived_((total_bytes + protocol::kPartBytes - 1) / protocol::kPartBytes),
        writer_(folder) {}

  ProgramId program() const { return program_; }
  bool complete() const { return count_ == arrived_.size(); }

  /// Ignores what does not fit in.
  void add(const ProgramPart& part) {
    if (part.total_bytes != total_bytes_ || part.offset % protocol::kPartBytes != 0 ||
        part.offset >= total_bytes_) {
      return;
    }
    const auto size = std::min(protocol::kPartBytes, total_bytes_ - part.offset);
    const auto index = static_cast<std::size_t>(part.offset / protocol::kPartBytes);
    if (part.bytes.size() != size || arrived_[index]) return;
    writer_.write(part.offset, part.bytes.span());
    arrived_[index] = true;
    ++count_;
  }

  ProgramFile finish() { return writer_.finish(); }

 private:
  ProgramId program_;
  std::uint64_t total_bytes_;
  std::vector<bool> arrived_;
  std::size_t count_ = 0;
  ProgramWriter writer_;
};

/// Hashes in pieces, so that a worker that leaves does not wait for gigabytes.
bool named_rightly(ProgramId program, std::span<const std::byte> bytes,
                   const std::atomic<bool>& stop) {
  protocol::ContentHash hash;
  while (!bytes.empty() && !stop) {
    const auto piece = bytes.first(std::min(bytes.size(), kHashPieceBytes));
    hash.update(piece);
    bytes = bytes.subspan(piece.size());
  }
  return bytes.empty() && hash.finish() == program;
}

struct Load {
  ProgramId program;
};
using Order = std::variant<Load, ProgramPart>;

struct Answer {
  Event event;
  ProgramFile file;  ///< Of a ProgramLoaded, unless it was loaded already.
};

/// Sealed programs in memory, the latest used first. Changed by the loop's thread only, so that a
/// descriptor it was given is not closed behind its back.
class LoadedPrograms {
 public:
  explicit LoadedPrograms(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  int use(ProgramId program) {
    const auto found = std::ranges::find(entries_, program, &Entry::program);
    if (found == entries_.end()) return -1;
    entries_.splice(entries_.begin(), entries_, found);
    return entries_.front().file.fd();
  }
  bool contains(ProgramId program) const {
    return std::ranges::find(entries_, program, &Entry::program) != entries_.end();
  }
  void add(ProgramId program, ProgramFile file) {
    if (contains(program)) return;
    bytes_ += file.size();
    entries_.push_front({program, std::move(file)});
    while (bytes_ > bytes_max_ && entries_.size() > 1) {
      bytes_ -= entries_.back().file.size();
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    ProgramId program;
    ProgramFile file;
  };
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::list<Entry> entries_;
};

}  // namespace

struct ProgramCache::State {
  explicit State(ProgramCacheOptions options_);
  ~State();

  void run();
  void carry_out(const Load& order);
  void carry_out(const ProgramPart& part);
  void finish(Collection& collection);
  void offer(ProgramId program, ProgramFile file);
  void answer(Event event, ProgramFile file = {});

  const ProgramCacheOptions options;
  std::optional<ProgramFolder> folder;
  std::string problem;
  Descriptor news;
  std::atomic<bool> stop = false;

  std::mutex mutex;  // Guards what follows, up to the thread's own.
  std::condition_variable ordered;
  std::deque<Order> orders;
  std::vector<Answer> answers;
  LoadedPrograms loaded;

  std::list<Collection> collections;  ///< The thread's own.
  std::thread thread;
};

ProgramCache::State::State(ProgramCacheOptions options_)
    : options(std::move(options_)),
      news(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      loaded(options.memory_bytes_max) {
  if (!news) {
    throw std::system_error(errno, std::generic_category(), "the program cache gets no eventfd");
  }
  try {
    folder.emplace(options.folder);
  } catch (const std::exception& error) {
    problem = "programs are kept in memory only, because the cache folder " + options.folder +
              " cannot be used: " + error.what();
  }
  // Signals are the main thread's business: one started with all blocked gets none.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ProgramCache::State::~State() {
  stop = true;
  {
    const std::lock_guard lock(mutex);
    orders.clear();
  }
  ordered.notify_one();
  thread.join();
}

void ProgramCache::State::run() {
  while (true) {
    std::unique_lock lock(mutex);
    ordered.wait(lock, [&] { return stop || !orders.empty(); });
    if (stop) return;
    const Order order = std::move(orders.front());
    orders.pop_front();
    lock.unlock();
    std::visit([this](const auto& which) { carry_out(which); }, order);
  }
}

void ProgramCache::State::answer(Event event, ProgramFile file) {
  {
    const std::lock_guard lock(mutex);
    answers.push_back({std::move(event), std::move(file)});
  }
  const std::uint64_t one = 1;
  // Can only fail when the counter is full, and then it is readable.
  [[maybe_unused]] const ssize_t written = ::write(news.get(), &one, sizeof one);
}

/// Checks that a verified program can run here, and says so.
void ProgramCache::State::offer(ProgramId program, ProgramFile file) {
  const MappedFile bytes(file.fd());
  if (auto reason = preflight(bytes.bytes())) {
    answer(ProgramUnusable{program, std::move(*reason)});
    return;
  }
  answer(ProgramLoaded{program}, std::move(file));
}

void ProgramCache::State::carry_out(const Load& order) {
  bool here = false;
  {
    const std::lock_guard lock(mutex);
    here = loaded.contains(order.program);
  }
  if (here) {
    answer(ProgramLoaded{order.program});
    return;
  }
  std::optional<ProgramFile> file;
  try {
    if (folder) file = folder->read(order.program, stop);
  } catch (const std::exception&) {
    // No room for a copy right now: it will be asked for again, and then there is, or an error.
  }
  if (file) {
    offer(order.program, std::move(*file));
  } else {
    answer(ProgramAbsent{order.program});
  }
}

void ProgramCache::State::carry_out(const ProgramPart& part) {
  const auto unusable = [&](const std::string& reason) {
    std::erase_if(collections, [&](const auto& other) { return other.program() == part.program; });
    answer(ProgramUnusable{part.program, reason});
  };
  if (part.total_bytes == 0 || part.total_bytes > protocol::kMaxProgramBytes) {
    unusable("its size of " + std::to_string(part.total_bytes) + " bytes is not allowed (at most " +
             std::to_string(protocol::kMaxProgramBytes) + ")");
    return;
  }
  try {
    auto found = std::ranges::find(collections, part.program, &Collection::program);
    if (part.offset == 0 && found != collections.end()) {
      collections.erase(found);
      found = collections.end();
    }
    if (found == collections.end()) {
      if (collections.size() == kCollectionsMax) collections.pop_front();
      collections.emplace_back(part.program, part.total_bytes, options.folder);
      found = std::prev(collections.end());
    }
    found->add(part);
    if (!found->complete()) return;
    finish(*found);
    collections.erase(found);
  } catch (const std::exception& error) {
    unusable(error.what());
  }
}

void ProgramCache::State::finish(Collection& collection) {
  const ProgramId program = collection.program();
  ProgramFile file = collection.finish();
  const MappedFile bytes(file.fd());
  if (!named_rightly(program, bytes.bytes(), stop)) {
    answer(
        ProgramUnusable{program,
                        "the bytes that arrived are not the ones it is named after: it was changed "
                        "while it was sent, start the job again"});
    return;
  }
  offer(program, std::move(file));
  // The mapping outlives the file's descriptor.
  if (folder && folder->write(program, bytes.bytes(), stop)) {
    folder->trim(options.disk_bytes_max, [&](ProgramId other) {
      const std::lock_guard lock(mutex);
      return other == program || loaded.contains(other);
    });
  }
}

ProgramCache::ProgramCache(ProgramCacheOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
ProgramCache::~ProgramCache() = default;

void ProgramCache::load(ProgramId program) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->orders.emplace_back(Load{program});
  }
  state_->ordered.notify_one();
}

void ProgramCache::store(ProgramPart part) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->orders.emplace_back(std::move(part));
  }
  state_->ordered.notify_one();
}

int ProgramCache::event_fd() const {
  return state_->news.get();
}
const std::string& ProgramCache::problem() const {
  return state_->problem;
}

std::vector<Event> ProgramCache::take_events() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(state_->news.get(), &count, sizeof count);
  const std::lock_guard lock(state_->mutex);
  std::vector<Event> events;
  for (Answer& answer : std::exchange(state_->answers, {})) {
    if (answer.file.fd() >= 0) {
      state_->loaded.add(std::get<ProgramLoaded>(answer.event).program, std::move(answer.file));
    }
    events.push_back(std::move(answer.event));
  }
  return events;
}

int ProgramCache::program_fd(ProgramId program) {
  State& state = *state_;
  {
    const std::lock_guard lock(state.mutex);
    if (const int fd = state.loaded.use(program); fd >= 0) return fd;
  }
  // Its copy in memory made room for others; it was verified and checked before, so it comes back.
  if (!state.folder) return -1;
  try {
    auto file = state.folder->read(program, state.stop);
    if (!file) return -1;
    const std::lock_guard lock(state.mutex);
    state.loaded.add(program, std::move(*file));
    return state.loaded.use(program);
  } catch (const std::exception&) {
    return -1;
  }
}

}  // namespace achilles::worker
