// Every message of achilles, in one place. PROTOCOL.md says who sends what, when, and why.
//
// A message is a plain struct; `fields` names its members once, for the codec, for describe and for
// the tests. Cores hand messages over as values; the codec turns them into frames between
// processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/errors.hpp"
#include "protocol/ids.hpp"
#include "protocol/items.hpp"

namespace achilles::protocol {

/// On the wire: do not change these values.
enum class MessageType : std::uint8_t {
  kHello = 1,
  kWelcome = 2,
  kRejected = 3,
  kHeartbeat = 4,
  kBye = 5,
  kPart = 6,
  kPartsTaken = 7,
  kPartsDropped = 8,
  kOpenJob = 16,
  kCloseJob = 17,
  kJobWindow = 18,
  kSubmit = 19,
  kResultCredit = 20,
  kJobFailed = 21,
  kKeepJobs = 22,
  kAccepted = 23,
  kWorkerState = 32,
  kAssign = 33,
  kGrant = 34,
  kResults = 35,
  kResultReady = 36,
  kCrashed = 37,
  kReturned = 38,
  kProgramRefused = 39,
  kHolding = 40,
  kRevoke = 41,
  kRecall = 42,
  kNeedProgram = 48,
  kProgramPart = 49,
  kTaskReady = 64,
  kStatusRequest = 80,
  kStatusReply = 81,
  kWhyRequest = 82,
  kWhyReply = 83,
};

enum class Role : std::uint8_t { kClient = 0, kWorker = 1, kObserver = 2 };

enum class RejectReason : std::uint8_t {
  kMalformed = 0,  ///< Bytes that are no message.
  kWrongVersion = 1,
  kUnknownSession = 2,  ///< Say HELLO again.
  kOutOfOrder = 3,      ///< A message that its sender may not send, or not now.
  kOverLimit = 4,
  kDuplicateId = 5,  ///< Another peer already uses this id.
};

// ---- everyone with the broker ---------------------------------------------------------------

/// First message of a conversation. `id` is a ClientId's or WorkerId's value.
struct Hello {
  static constexpr MessageType kType = MessageType::kHello;
  Role role = Role::kClient;
  std::uint64_t id = 0;
  std::uint64_t incarnation = 0;  ///< Grows with each HELLO of the same id.
  std::string name;               ///< For people: "n3", "word_count".
  std::string host;
  std::uint32_t pid = 0;
  std::string library_version;
  bool operator==(const Hello&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("role", m.role);
    visit("id", m.id);
    visit("incarnation", m.incarnation);
    visit("name", m.name);
    visit("host", m.host);
    visit("pid", m.pid);
    visit("library_version", m.library_version);
  }
};

struct Welcome {
  static constexpr MessageType kType = MessageType::kWelcome;
  BootId boot;
  SessionId session;
  std::uint64_t incarnation = 0;  ///< Of the HELLO that this answers.
  std::uint32_t heartbeat_interval_ms = 0;
  std::uint64_t max_payload_bytes = 0;
  std::uint32_t workers = 0;  ///< Connected now, for the client's greeting and its first guesses.
  std::uint32_t slots = 0;
  /// What a client may submit of each job before the job's first JOB_WINDOW.
  std::uint64_t first_window_chunks = 0;
  std::uint64_t first_window_bytes = 0;
  bool operator==(const Welcome&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("boot", m.boot);
    visit("session", m.session);
    visit("incarnation", m.incarnation);
    visit("heartbeat_interval_ms", m.heartbeat_interval_ms);
    visit("max_payload_bytes", m.max_payload_bytes);
    visit("workers", m.workers);
    visit("slots", m.slots);
    visit("first_window_chunks", m.first_window_chunks);
    visit("first_window_bytes", m.first_window_bytes);
  }
};

struct Rejected {
  static constexpr MessageType kType = MessageType::kRejected;
  RejectReason reason = RejectReason::kMalformed;
  std::string detail;
  bool operator==(const Rejected&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("reason", m.reason);
    visit("detail", m.detail);
  }
};

/// Sent when nothing else was for a heartbeat interval. Any message counts as a sign of life.
struct Heartbeat {
  static constexpr MessageType kType = MessageType::kHeartbeat;
  SessionId session;
  bool operator==(const Heartbeat&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("session", m.session);
  }
};

/// The sender leaves on purpose: nothing it held need be waited for.
struct Bye {
  static constexpr MessageType kType = MessageType::kBye;
  std::string reason;
  bool operator==(const Bye&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("reason", m.reason);
  }
};

/// A part of a message that is too large to travel whole. protocol/hop.hpp makes parts of messages
/// and messages of parts; cores never see one.
struct Part {
  static constexpr MessageType kType = MessageType::kPart;
  std::uint64_t stream = 0;  ///< Which message: counted from 1, in a session and a direction.
  std::vector<std::uint64_t> frame_sizes;  ///< First part only: the frames of the whole.
  std::uint64_t offset = 0;                ///< In the whole, its frames one after another.
  Bytes bytes;
  bool operator==(const Part&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("stream", m.stream);
    visit("frame_sizes", m.frame_sizes);
    visit("offset", m.offset);
    visit("bytes", m.bytes);
  }
};

/// How many bytes of parts were received in all, in this session: the sender may go on.
struct PartsTaken {
  static constexpr MessageType kType = MessageType::kPartsTaken;
  std::uint64_t total_bytes = 0;
  bool operator==(const PartsTaken&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("total_bytes", m.total_bytes);
  }
};

/// The rest of this half-sent message will not come: its job is over.
struct PartsDropped {
  static constexpr MessageType kType = MessageType::kPartsDropped;
  std::uint64_t stream = 0;
  bool operator==(const PartsDropped&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("stream", m.stream);
  }
};

// ---- client with broker ---------------------------------------------------------------------

/// Client → broker, first in a session: the jobs it goes on with. All others of it are over.
struct KeepJobs {
  static constexpr MessageType kType = MessageType::kKeepJobs;
  std::vector<JobId> jobs;
  bool operator==(const KeepJobs&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("jobs", m.jobs);
  }
};

/// What a job calls. Also sent broker → worker before the job's first chunk there, and
/// worker → task process before the job's first chunk there.
struct OpenJob {
  static constexpr MessageType kType = MessageType::kOpenJob;
  JobId job;
  ProgramId program;
  FunctionKey function;
  Bytes context;      ///< What is bound to the function, sent once.
  std::string label;  ///< For people: the function's name.
  std::uint32_t crash_limit = 0;
  /// Of one chunk's results. 0, and whatever is above the broker's own limit, means that limit.
  std::uint64_t max_payload_bytes = 0;
  /// From a client that goes on in a new session: so many chunks, the first of its SUBMITs, it has
  /// submitted before, and workers may hold them. 0 in all other cases.
  std::uint64_t resubmits = 0;
  /// A chunk that takes far longer than others may be executed a second time elsewhere.
  bool second_attempts = true;
  bool operator==(const OpenJob&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("program", m.program);
    visit("function", m.function);
    visit("context", m.context);
    visit("label", m.label);
    visit("crash_limit", m.crash_limit);
    visit("max_payload_bytes", m.max_payload_bytes);
    visit("resubmits", m.resubmits);
    visit("second_attempts", m.second_attempts);
  }
};

/// The job is over, finished or cancelled: drop all that is queued, end what runs, forget it.
/// Client → broker → workers → task processes.
struct CloseJob {
  static constexpr MessageType kType = MessageType::kCloseJob;
  JobId job;
  bool operator==(const CloseJob&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
  }
};

/// Broker → client: how much of the job may be at the broker unfinished. Replaces the previous
/// window.
struct JobWindow {
  static constexpr MessageType kType = MessageType::kJobWindow;
  JobId job;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  std::uint32_t slots = 0;  ///< In the cluster now: how finely the rest may be cut.
  bool operator==(const JobWindow&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("chunks", m.chunks);
    visit("bytes", m.bytes);
    visit("slots", m.slots);
  }
};

/// A contiguous run of a job's items, from index `first`.
struct Chunk {
  ItemIndex first = 0;
  Items items;
  bool operator==(const Chunk&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("first", m.first);
    visit("items", m.items);
  }
};

struct Submit {
  static constexpr MessageType kType = MessageType::kSubmit;
  JobId job;
  std::vector<Chunk> chunks;
  bool operator==(const Submit&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("chunks", m.chunks);
  }
};

/// Client → broker: how many bytes of the job's results the client takes in all, counted from the
/// job's opening (it only grows), and the item its user waits for, whose chunk goes before all
/// credit.
struct ResultCredit {
  static constexpr MessageType kType = MessageType::kResultCredit;
  JobId job;
  std::uint64_t total_bytes =
      0;  ///< Each chunk result counts its payload and kResultOverheadBytes.
  std::optional<ItemIndex> wanted;
  bool operator==(const ResultCredit&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("total_bytes", m.total_bytes);
    visit("wanted", m.wanted);
  }
};

/// Client → broker → worker: the results of these attempts have reached the client. Nobody need
/// keep them any longer.
struct Accepted {
  static constexpr MessageType kType = MessageType::kAccepted;
  std::vector<AttemptId> attempts;
  bool operator==(const Accepted&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempts", m.attempts);
  }
};

/// Broker → client: nothing of the job can run. Ends it.
struct JobFailed {
  static constexpr MessageType kType = MessageType::kJobFailed;
  JobId job;
  ErrorRecord error;
  bool operator==(const JobFailed&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("error", m.error);
  }
};

// ---- worker with broker ---------------------------------------------------------------------

/// Worker → broker, after WELCOME and whenever it changes: how much may be at the worker
/// unfinished.
struct WorkerState {
  static constexpr MessageType kType = MessageType::kWorkerState;
  std::uint32_t slots = 0;
  std::uint64_t window_chunks = 0;
  std::uint64_t window_bytes = 0;
  bool draining = false;
  bool operator==(const WorkerState&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("slots", m.slots);
    visit("window_chunks", m.window_chunks);
    visit("window_bytes", m.window_bytes);
    visit("draining", m.draining);
  }
};

struct Assignment {
  JobId job;
  AttemptId attempt;
  /// A result of up to so many bytes may be sent without asking. A larger one is announced first.
  std::uint64_t result_allowance = 0;
  Chunk chunk;
  bool operator==(const Assignment&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("attempt", m.attempt);
    visit("result_allowance", m.result_allowance);
    visit("chunk", m.chunk);
  }
};

/// Broker → worker, and worker → task process.
struct Assign {
  static constexpr MessageType kType = MessageType::kAssign;
  std::vector<Assignment> chunks;
  bool operator==(const Assign&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("chunks", m.chunks);
  }
};

/// Broker → worker: start this attempt, whatever else is held back, and send its result, whatever
/// its size.
struct Grant {
  static constexpr MessageType kType = MessageType::kGrant;
  AttemptId attempt;
  bool operator==(const Grant&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempt", m.attempt);
  }
};

struct ItemError {
  ItemIndex index = 0;
  ErrorRecord error;
  bool operator==(const ItemError&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("index", m.index);
    visit("error", m.error);
  }
};

/// Results of items [first, first + items.count()). Where `errors` names an index, the item has no
/// value and takes no bytes (unless all items share a non-zero stride, then its bytes mean
/// nothing).
struct ChunkResult {
  JobId job;
  AttemptId attempt;
  ItemIndex first = 0;
  std::uint64_t busy_ns = 0;  ///< Time the task process spent on it.
  Items items;
  std::vector<ItemError> errors;  ///< In order of index.
  bool operator==(const ChunkResult&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("attempt", m.attempt);
    visit("first", m.first);
    visit("busy_ns", m.busy_ns);
    visit("items", m.items);
    visit("errors", m.errors);
  }
};

/// Each chunk result costs this much credit beside its payload, so that empty results are bounded
/// too.
inline constexpr std::uint64_t kResultOverheadBytes = 128;
/// What a chunk result costs: its payload, the texts of its errors, and the overhead.
std::uint64_t credit_cost(const ChunkResult& result);

/// Task process → worker → broker → client.
struct Results {
  static constexpr MessageType kType = MessageType::kResults;
  std::vector<ChunkResult> chunks;
  bool operator==(const Results&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("chunks", m.chunks);
  }
};

/// Worker → broker: the attempt is done, its result exceeds the allowance and waits here for a
/// GRANT.
struct ResultReady {
  static constexpr MessageType kType = MessageType::kResultReady;
  AttemptId attempt;
  std::uint64_t bytes = 0;  ///< credit_cost of the result.
  std::uint64_t busy_ns = 0;
  bool operator==(const ResultReady&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempt", m.attempt);
    visit("bytes", m.bytes);
    visit("busy_ns", m.busy_ns);
  }
};

/// Worker → broker: the task process died while it ran this attempt.
struct Crashed {
  static constexpr MessageType kType = MessageType::kCrashed;
  AttemptId attempt;
  ItemIndex item = 0;  ///< The one it was working on.
  ErrorRecord error;   ///< kTaskCrashed; `attempts` is the broker's to fill in.
  bool operator==(const Crashed&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempt", m.attempt);
    visit("item", m.item);
    visit("error", m.error);
  }
};

/// Worker → broker: these attempts were not begun and will not be (the worker drains, or a task
/// process ended before it came to them). Counts against nobody.
struct Returned {
  static constexpr MessageType kType = MessageType::kReturned;
  std::vector<AttemptId> attempts;
  bool operator==(const Returned&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempts", m.attempts);
  }
};

/// Worker → broker: this worker cannot run this program; all its attempts here are returned.
struct ProgramRefused {
  static constexpr MessageType kType = MessageType::kProgramRefused;
  ProgramId program;
  std::string reason;  ///< One sentence: "needs GLIBCXX_3.4.31, has 3.4.30".
  bool operator==(const ProgramRefused&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("program", m.program);
    visit("reason", m.reason);
  }
};

/// An attempt that a worker holds: it waits there, runs, or is done.
struct HeldAttempt {
  JobId job;
  AttemptId attempt;
  ItemIndex first = 0;
  std::uint64_t count = 0;
  /// Once it is done: credit_cost of the result, which waits for a GRANT. 0 before.
  std::uint64_t result_cost = 0;
  bool operator==(const HeldAttempt&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("attempt", m.attempt);
    visit("first", m.first);
    visit("count", m.count);
    visit("result_cost", m.result_cost);
  }
};

/// Worker → broker, once in a session, after the first WORKER_STATE: all that it holds of earlier
/// sessions. In several messages when it is much.
struct Holding {
  static constexpr MessageType kType = MessageType::kHolding;
  std::vector<HeldAttempt> attempts;
  bool last = true;  ///< No more of these messages follow.
  bool operator==(const Holding&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempts", m.attempts);
    visit("last", m.last);
  }
};

/// Broker → worker: nobody wants these attempts any more. Forget them, end what of them runs.
struct Revoke {
  static constexpr MessageType kType = MessageType::kRevoke;
  std::vector<AttemptId> attempts;
  bool operator==(const Revoke&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempts", m.attempts);
  }
};

/// Broker → worker: slots are idle elsewhere. Return those of the attempts that were not begun.
struct Recall {
  static constexpr MessageType kType = MessageType::kRecall;
  std::vector<AttemptId> attempts;
  bool operator==(const Recall&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("attempts", m.attempts);
  }
};

// ---- programs: worker → broker → client asks, the parts come back ---------------------------

struct NeedProgram {
  static constexpr MessageType kType = MessageType::kNeedProgram;
  ProgramId program;
  std::uint64_t offset = 0;  ///< A multiple of kPartBytes.
  bool operator==(const NeedProgram&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("program", m.program);
    visit("offset", m.offset);
  }
};

struct ProgramPart {
  static constexpr MessageType kType = MessageType::kProgramPart;
  ProgramId program;
  std::uint64_t total_bytes = 0;
  std::uint64_t offset = 0;
  Bytes bytes;  ///< kPartBytes, or what is left at the end.
  bool operator==(const ProgramPart&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("program", m.program);
    visit("total_bytes", m.total_bytes);
    visit("offset", m.offset);
    visit("bytes", m.bytes);
  }
};

// ---- task process with worker ---------------------------------------------------------------

/// A task process's first message.
struct TaskReady {
  static constexpr MessageType kType = MessageType::kTaskReady;
  ProgramId program;             ///< As it was told when it was started.
  std::uint64_t table_hash = 0;  ///< Of its function table.
  std::uint32_t pid = 0;
  bool operator==(const TaskReady&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("program", m.program);
    visit("table_hash", m.table_hash);
    visit("pid", m.pid);
  }
};

// ---- status ---------------------------------------------------------------------------------

struct StatusRequest {
  static constexpr MessageType kType = MessageType::kStatusRequest;
  bool operator==(const StatusRequest&) const = default;
  template <class Self, class Visit>
  static void fields(Self&, Visit&&) {}
};

struct WorkerStatus {
  WorkerId id;
  std::string name;
  std::string host;
  std::uint32_t pid = 0;
  std::uint32_t slots = 0;
  std::uint64_t running_chunks = 0;  ///< Assigned to it, unfinished.
  std::uint64_t done_chunks = 0;
  std::uint64_t crashes = 0;
  std::string state;  ///< "ready", "suspect", "draining", "quarantined".
  bool operator==(const WorkerStatus&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("id", m.id);
    visit("name", m.name);
    visit("host", m.host);
    visit("pid", m.pid);
    visit("slots", m.slots);
    visit("running_chunks", m.running_chunks);
    visit("done_chunks", m.done_chunks);
    visit("crashes", m.crashes);
    visit("state", m.state);
  }
};

struct JobStatus {
  JobId job;
  std::string label;
  std::string client;  ///< name@host:pid
  std::uint64_t done_items = 0;
  std::uint64_t running_items = 0;
  std::uint64_t queued_items = 0;
  std::uint64_t requeued_chunks = 0;
  bool operator==(const JobStatus&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("label", m.label);
    visit("client", m.client);
    visit("done_items", m.done_items);
    visit("running_items", m.running_items);
    visit("queued_items", m.queued_items);
    visit("requeued_chunks", m.requeued_chunks);
  }
};

struct StatusReply {
  static constexpr MessageType kType = MessageType::kStatusReply;
  BootId boot;
  std::string host;
  std::uint32_t pid = 0;
  std::string library_version;
  std::uint64_t uptime_ms = 0;
  std::uint64_t rejected_messages = 0;
  std::uint32_t clients = 0;
  std::vector<WorkerStatus> workers;
  std::vector<JobStatus> jobs;
  bool operator==(const StatusReply&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("boot", m.boot);
    visit("host", m.host);
    visit("pid", m.pid);
    visit("library_version", m.library_version);
    visit("uptime_ms", m.uptime_ms);
    visit("rejected_messages", m.rejected_messages);
    visit("clients", m.clients);
    visit("workers", m.workers);
    visit("jobs", m.jobs);
  }
};

/// Anyone → broker: what does this job wait for? Named as people see it: "7f3a9c21/4".
struct WhyRequest {
  static constexpr MessageType kType = MessageType::kWhyRequest;
  std::string job;
  bool operator==(const WhyRequest&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
  }
};

struct WhyReply {
  static constexpr MessageType kType = MessageType::kWhyReply;
  std::string job;
  std::vector<std::string> reasons;  ///< Sentences; none when there is no such job.
  std::vector<std::string> story;    ///< What happened to the job, the oldest first.
  bool operator==(const WhyReply&) const = default;
  template <class Self, class Visit>
  static void fields(Self& m, Visit&& visit) {
    visit("job", m.job);
    visit("reasons", m.reasons);
    visit("story", m.story);
  }
};

using Message =
    std::variant<Hello, Welcome, Rejected, Heartbeat, Bye, Part, PartsTaken, PartsDropped, OpenJob,
                 CloseJob, JobWindow, Submit, ResultCredit, JobFailed, KeepJobs, Accepted,
                 WorkerState, Assign, Grant, Results, ResultReady, Crashed, Returned,
                 ProgramRefused, Holding, Revoke, Recall, NeedProgram, ProgramPart, TaskReady,
                 StatusRequest, StatusReply, WhyRequest, WhyReply>;

}  // namespace achilles::protocol
