#include "achilles/detail/job_handle.hpp"

#include <utility>

#include "client/engine.hpp"
#include "protocol/limits.hpp"

namespace achilles::detail {
namespace {

RemoteError::Kind kind_of(protocol::ErrorKind kind) {
  switch (kind) {
    case protocol::ErrorKind::kInputUndecodable:
      return RemoteError::Kind::kInputUndecodable;
    case protocol::ErrorKind::kResultUnencodable:
      return RemoteError::Kind::kResultUnencodable;
    case protocol::ErrorKind::kTaskCrashed:
      return RemoteError::Kind::kTaskCrashed;
    case protocol::ErrorKind::kUserException:
    case protocol::ErrorKind::kProgramRefused:
    case protocol::ErrorKind::kJobRefused:
      break;
  }
  return RemoteError::Kind::kException;
}

RemoteError::Details details_of(const protocol::ItemError& item, protocol::JobId job,
                                const std::string& function) {
  RemoteError::Details details;
  details.kind = kind_of(item.error.kind);
  details.index = item.index;
  details.job = protocol::to_string(job);
  details.function = function;
  for (const auto& cause : item.error.causes) details.causes.push_back({cause.type, cause.what});
  details.worker = item.error.worker;
  details.host = item.error.host;
  details.pid = item.error.pid;
  details.attempts = item.error.attempts;
  details.ending = item.error.detail;
  details.stderr_tail = item.error.stderr_tail;
  details.deaths = item.error.deaths;
  return details;
}

}  // namespace

void OpenChunk::refuse_open_item(std::uint64_t index) {
  const auto bytes = items.open_bytes();
  items.abandon_item();
  throw ItemTooLarge(index, bytes, item_bytes_max);
}

void OpenChunk::want(std::uint64_t chunk_items, std::uint64_t chunks) {
  items_max = chunk_items;
  const std::uint64_t limit = std::min(chunks, kItemsAtOnceMax / chunk_items);
  chunks_at_once = std::max<std::uint64_t>(std::min(pace_, limit), 1);
}

void OpenChunk::learn_pace(std::chrono::steady_clock::time_point now) {
  const std::uint64_t chunks = items.count() / items_max;
  pace_ = now - opened_at <= chunks * kFast ? 2 * chunks : 1;
}

struct JobHandle::State {
  std::shared_ptr<Engine> engine;
  protocol::JobId job;
  std::string label;
  std::vector<protocol::ChunkResult> taken;  ///< From the engine, to be handed out.
  std::size_t handed_out = 0;

  bool holds_results() const { return handed_out < taken.size(); }
};

JobHandle::JobHandle(std::shared_ptr<Engine> engine, JobRequest request)
    : state_(std::make_unique<State>()), open_(std::make_shared<OpenChunk>()) {
  if (engine == nullptr) {
    throw PoolClosed("achilles: this Pool was moved from; call the one it was moved to");
  }
  engine->require_own_process();
  state_->engine = std::move(engine);
  state_->label = request.record->label;
  state_->job = state_->engine->open_job(request, open_);
}

JobHandle::~JobHandle() {
  if (state_->engine->in_own_process()) {
    state_->engine->close_job(state_->job);
  } else {
    // The results may lie in memory that the parent and its task processes share.
    static_cast<void>(state_.release());
  }
}

JobHandle::Next JobHandle::wait() {
  state_->engine->require_own_process();
  if (state_->holds_results()) return Next::kResult;
  return state_->engine->wait(state_->job);
}

ResultPiece JobHandle::take() {
  if (!state_->holds_results()) {
    state_->engine->take(state_->job, state_->taken);
    state_->handed_out = 0;
  }
  auto& result = state_->taken[state_->handed_out++];
  ResultPiece piece;
  piece.first = result.first;
  for (const auto& item : result.errors) {
    piece.errors.emplace_back(item.index, details_of(item, state_->job, state_->label));
  }
  piece.layout = std::move(result.items.layout);
  piece.payload = result.items.payload.span();
  return piece;
}

void JobHandle::submit() {
  state_->engine->submit(state_->job);
}
void JobHandle::end_input() {
  state_->engine->end_input(state_->job);
}

void JobHandle::throw_failure(const RemoteError::Details& details) {
  if (details.kind == RemoteError::Kind::kTaskCrashed) throw TaskCrashed(details);
  throw RemoteError(details);
}

}  // namespace achilles::detail
