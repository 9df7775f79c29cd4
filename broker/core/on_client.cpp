// What clients say.
#include <algorithm>
#include <utility>

#include "broker/core/state.hpp"
#include "protocol/limits.hpp"
#include "protocol/mutant.hpp"

namespace achilles::broker {

using protocol::ErrorKind;
using protocol::JobId;
using protocol::mutant;
using protocol::Mutant;
using protocol::RejectReason;

namespace {

/// How many chunks of a job may be unfinished at the broker.
constexpr std::uint64_t kWindowChunksPerSlot = 1024;
constexpr std::uint64_t kWindowChunksMax = 65536;
/// Of different sizes: their list must fit into one message's header, with room for more.
constexpr std::uint64_t kSizesPerChunkMax = 1ULL << 21;
/// What a client is remembered to have been refused; it has seldom more than one at a time.
constexpr std::size_t kFailedJobsMax = 4096;

}  // namespace

Job* Scheduler::State::job_of(Peer& peer, JobId id, const char* message) {
  if (id.client.value != peer.number) {
    reject(peer, RejectReason::kOutOfOrder,
           std::string(message) + " for job " + to_string(id) + ", which is another client's.");
    return nullptr;
  }
  Job* job = jobs.find(id);
  if (job != nullptr && job->opened) return job;
  if (!clients.find(id.client)->failed_jobs.contains(id)) {
    reject(peer, RejectReason::kOutOfOrder,
           std::string(message) + " for job " + to_string(id) +
               ", which is not open: say OPEN_JOB first.");
  }
  return nullptr;
}

void Scheduler::State::on_open_job(Peer& peer, protocol::OpenJob&& open) {
  if (open.job.client.value != peer.number) {
    reject(peer, RejectReason::kOutOfOrder,
           "OPEN_JOB for job " + to_string(open.job) + ", which is another client's.");
    return;
  }
  Job* known = jobs.find(open.job);
  if (known != nullptr &&
      (known->opened || (known->known && known->open.program != open.program))) {
    reject(peer, RejectReason::kOutOfOrder,
           "OPEN_JOB for job " + to_string(open.job) + ", which is open already.");
    return;
  }
  Client& client = *clients.find(open.job.client);
  client.failed_jobs.erase(open.job);
  client.kept.erase(open.job);
  client.jobs.insert(open.job);
  if (open.max_payload_bytes == 0 || open.max_payload_bytes > options.max_payload_bytes) {
    open.max_payload_bytes = options.max_payload_bytes;
  }
  Job& job = known != nullptr ? *known : jobs.add(open.job);
  resume(job, open);
  if (open.context.size() > protocol::kMaxContextBytes) {
    fail_job(job, ErrorKind::kJobRefused,
             "The values bound to the job's function take " + std::to_string(open.context.size()) +
                 " bytes; at most " + std::to_string(protocol::kMaxContextBytes) +
                 " are allowed: pass them as inputs, or read them from a file in the task.");
    return;
  }
  if (const auto refusal = too_much(client); !refusal.empty()) {
    fail_job(job, ErrorKind::kJobRefused, refusal);
    return;
  }
  send_window(job);
  ask_again(open.program, *programs.find(open.program), {});
  check_refusals(open.program);
}

std::string Scheduler::State::too_much(const Client& client) const {
  if (client.jobs.size() > options.client_jobs_max) {
    return "This client has " + std::to_string(options.client_jobs_max) +
           " jobs open already, the most that the broker allows: finish some first.";
  }
  std::uint64_t kept = 0;
  for (const auto& [id, job] : jobs.all()) kept += job.unfinished_bytes() + job.open.context.size();
  if (kept <= options.kept_bytes_max) return {};
  return "The broker holds " + std::to_string(kept >> 20) +
         " MiB of unfinished work, more than it may (" +
         std::to_string(options.kept_bytes_max >> 20) +
         " MiB): try again later, or start it with a larger --memory-mib.";
}

void Scheduler::State::on_close_job(Peer& peer, const protocol::CloseJob& close) {
  if (close.job.client.value != peer.number) {
    job_of(peer, close.job, "CLOSE_JOB");
    return;
  }
  Client& client = *clients.find(close.job.client);
  client.failed_jobs.erase(close.job);
  client.kept.erase(close.job);
  if (Job* job = jobs.find(close.job)) close_job(*job);
}

void Scheduler::State::on_submit(Peer& peer, protocol::Submit&& submit) {
  Job* job = job_of(peer, submit.job, "SUBMIT");
  if (job == nullptr) return;
  for (auto& chunk : submit.chunks) {
    if (auto fault = fault_of(*job, chunk)) {
      reject(peer, fault->reason, fault->detail);
      fail_job(*job, ErrorKind::kJobRefused, fault->detail);
      return;
    }
    job->chunk_bytes_max = std::max(job->chunk_bytes_max, chunk.items.bytes());
    if (job->resubmits_left > 0) {
      resubmit(*job, std::move(chunk));
    } else {
      job->enqueue(std::move(chunk));
    }
  }
  touch(*job);
}

bool Scheduler::State::overlaps_submitted(const Job& job, protocol::ItemIndex first,
                                          std::uint64_t count) const {
  if (job.overlaps_queued(first, count)) return true;
  auto at = job.assigned.lower_bound(first + count);
  while (at != job.assigned.begin()) {
    const Attempt& other = *attempts.find((--at)->second);
    if (other.end() <= first) return false;
    if (!other.unsubmitted) return true;
  }
  return false;
}

std::optional<protocol::Rejected> Scheduler::State::fault_of(const Job& job,
                                                             const protocol::Chunk& chunk) const {
  const auto fault = [&](RejectReason reason, const std::string& what) {
    return protocol::Rejected{reason, "SUBMIT: the chunk at item " + std::to_string(chunk.first) +
                                          " of job " + to_string(job.id()) + " " + what};
  };
  const std::uint64_t count = chunk.items.count();
  if (count == 0 || chunk.first > UINT64_MAX - count) {
    return fault(RejectReason::kOutOfOrder, "has " + std::to_string(count) + " items.");
  }
  if (chunk.items.bytes() > options.max_payload_bytes) {
    return fault(RejectReason::kOverLimit,
                 "has " + std::to_string(chunk.items.bytes()) + " bytes; at most " +
                     std::to_string(options.max_payload_bytes) +
                     " are allowed: make its items smaller, use a smaller chunksize, or start the "
                     "broker with a larger --max-payload-mib.");
  }
  if (chunk.items.layout.sizes.size() > kSizesPerChunkMax) {
    return fault(RejectReason::kOverLimit,
                 "has " + std::to_string(count) + " items of different sizes; at most " +
                     std::to_string(kSizesPerChunkMax) + " are allowed: use a smaller chunksize.");
  }
  if (overlaps_submitted(job, chunk.first, count)) {
    return fault(RejectReason::kOutOfOrder, "has items that were submitted before.");
  }
  // Lenient, because a chunk that was cut in pieces after a crash counts more than once here, and
  // because the client may send one chunk more than fits: it is misuse that must end, not an
  // overrun.
  if (job.unfinished_chunks() >= 2 * job.window_chunks_max + kWindowChunksMin ||
      job.unfinished_bytes() > options.job_window_bytes + job.chunk_bytes_max) {
    return fault(RejectReason::kOverLimit,
                 "exceeds the job's window: " + std::to_string(job.unfinished_chunks()) +
                     " chunks with " + std::to_string(job.unfinished_bytes()) +
                     " bytes are unfinished already.");
  }
  return std::nullopt;
}

void Scheduler::State::on_result_credit(Peer& peer, const protocol::ResultCredit& credit) {
  Job* job = job_of(peer, credit.job, "RESULT_CREDIT");
  if (job == nullptr) return;
  job->credit_total = std::max(job->credit_total, credit.total_bytes);
  job->wanted = credit.wanted;
  touch(*job);
}

void Scheduler::State::send_window(Job& job) {
  if (!job.opened) return;
  const std::uint32_t slots = workers.slots();
  const std::uint64_t chunks =
      std::clamp(kWindowChunksPerSlot * slots, kWindowChunksMin, kWindowChunksMax);
  job.window_chunks_max = std::max(job.window_chunks_max, chunks);
  send(clients.find(job.id().client)->peer,
       protocol::JobWindow{job.id(), chunks, options.job_window_bytes, slots});
}

void Scheduler::State::close_job(Job& job) {
  const JobId id = job.id();
  ready.remove(id);
  if (job.withheld_until) withheld.erase({*job.withheld_until, id});
  // The workers drop what they have of it without a word, so its accounts are settled now; what
  // still arrives is news of unknown attempts.
  while (!job.seconds.empty()) release(job.seconds.begin()->second);
  while (!job.assigned.empty()) release(job.assigned.begin()->second);
  while (!job.delivered.empty()) release(job.delivered.begin()->second);
  for (const auto worker_id : job.workers) {
    Worker& worker = *workers.find(worker_id);
    worker.jobs.erase(id);
    if (worker.last_job == id) worker.last_job.reset();
    if (!mutant(Mutant::kClosedJobNotTold)) send(worker.peer, protocol::CloseJob{id});
  }
  if (Client* client = clients.find(id.client)) client->jobs.erase(id);
  if (job.known) programs.close_job(job.open.program, id);
  jobs.remove(id);
}

void Scheduler::State::fail_job(Job& job, ErrorKind kind, std::string detail) {
  Client& client = *clients.find(job.id().client);
  if (client.failed_jobs.size() >= kFailedJobsMax) {
    client.failed_jobs.erase(client.failed_jobs.begin());
  }
  client.failed_jobs.insert(job.id());
  protocol::ErrorRecord error;
  error.kind = kind;
  error.detail = std::move(detail);
  send(client.peer, protocol::JobFailed{job.id(), std::move(error)});
  close_job(job);
}

void Scheduler::State::end_client(protocol::ClientId id) {
  Client* client = clients.find(id);
  while (!client->jobs.empty()) close_job(*jobs.find(*client->jobs.begin()));
  clients.remove(id);
}

void Scheduler::State::on_accepted(Peer& peer, const protocol::Accepted& accepted) {
  for (const protocol::AttemptId id : accepted.attempts) {
    const Attempt* attempt = attempts.find(id);
    const bool is_its_own = attempt != nullptr && attempt->job.client.value == peer.number;
    if (!is_its_own || !attempt->delivered) continue;
    Worker& worker = *workers.find(attempt->worker);
    if (!mutant(Mutant::kAcceptedNotPassedOn)) worker.accepted.push_back(id);
    release(id);
  }
}

void Scheduler::State::ask_for_part(const protocol::ProgramId& id, Program& program,
                                    std::uint64_t offset) {
  PartWait& wait = program.waits[offset];
  wait.asked = {};
  for (const JobId job : program.jobs) {
    const Client& client = *clients.find(job.client);
    if (!client.present()) continue;
    wait.asked = client.id;
    return send(client.peer, protocol::NeedProgram{id, offset});
  }
}

void Scheduler::State::ask_again(const protocol::ProgramId& id, Program& program,
                                 protocol::ClientId gone) {
  if (mutant(Mutant::kPartNotAskedAgain)) return;
  std::vector<std::uint64_t> offsets;
  for (const auto& [offset, wait] : program.waits) {
    if (wait.asked == gone || wait.asked == protocol::ClientId{}) offsets.push_back(offset);
  }
  for (const auto offset : offsets) ask_for_part(id, program, offset);
}

void Scheduler::State::on_program_part(Peer& peer, protocol::ProgramPart&& part) {
  Program* program = programs.find(part.program);
  const auto wait =
      program == nullptr ? decltype(program->waits.begin()){} : program->waits.find(part.offset);
  if (program == nullptr || wait == program->waits.end()) return;  // Nobody waits any more.
  // It was asked, too, but closed its job meanwhile, and another was asked since.
  if (wait->second.asked.value != peer.number) return;
  if (const auto fault = ProgramTable::fault_of(*program, part)) {
    reject(peer, RejectReason::kOutOfOrder, "PROGRAM_PART: " + *fault + ".");
    return;
  }
  const auto waiting = std::move(wait->second.workers);
  program->waits.erase(wait);
  programs.store(*program, part);
  for (const auto worker : waiting) send(workers.find(worker)->peer, part);
}

}  // namespace achilles::broker
