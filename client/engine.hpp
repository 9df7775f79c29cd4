// Engine: the client's core, a cluster, and whoever drives them.
//
// Leader and followers: the thread that waits for a result drives the loop itself, so that a result
// needs no second wake-up to reach it. Other waiting threads follow: the leader wakes the one whose
// job moved, and hands the lead over when it leaves. A background thread leads only when nobody has
// driven the loop for a few milliseconds: heartbeats and progress while the user computes.
//
// Thread-safety: all public members may be called from any thread. The mutex is held while cores
// are stepped, never while a thread waits for descriptors.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "achilles/detail/job_handle.hpp"
#include "achilles/options.hpp"
#include "client/cluster.hpp"
#include "client/core/session.hpp"
#include "client/own_process.hpp"
#include "protocol/short_waits.hpp"

namespace achilles::detail {

class Engine {
 public:
  Engine(PoolOptions options, client::SessionOptions session,
         std::unique_ptr<client::Cluster> cluster, protocol::ProgramId program);
  /// Ends all: task processes, the connection, the background thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Throws NotShippable.
  protocol::JobId open_job(const JobRequest& request, std::shared_ptr<OpenChunk> open);
  void close_job(protocol::JobId job) noexcept;
  JobHandle::Next wait(protocol::JobId job);
  /// Replaces `results` by what is there: one, or several small ones. REQUIRES: wait() answered
  /// kResult.
  void take(protocol::JobId job, std::vector<protocol::ChunkResult>& results);
  void submit(protocol::JobId job);
  void end_input(protocol::JobId job);
  std::string label_of(protocol::JobId job);

  void close();
  std::vector<int> task_pids();
  /// Throws Error in a forked child of the process that made it, where nothing else may be called.
  void require_own_process() const;
  bool in_own_process() const { return process_.is_this_one(); }

 private:
  struct Consumer {
    std::shared_ptr<OpenChunk> open;
    std::string label;
    bool input_ended = false;
    bool filling = false;    ///< Its user's thread is at the input, from one wait to the next.
    bool following = false;  ///< Waits on `wake`; the leader polls.
    bool polling = false;    ///< Is the leader, and polls.
    std::condition_variable wake;
  };
  using Lock = std::unique_lock<std::mutex>;

  void turn();
  void step(client::Event event);
  void carry_out_commands();
  void drive(Lock& lock, Consumer& consumer);
  enum class Patience { kSleep, kSpin };
  void poll_descriptors(Lock& lock, std::optional<protocol::TimePoint> deadline, Patience patience);
  void leave_lead(const Consumer& consumer);
  void hand_over_lead();
  void submit_open_chunk(protocol::JobId job, Consumer& consumer);
  void close_stale_chunks();
  bool is_over(protocol::JobId job) const;
  [[noreturn]] void throw_why_over(protocol::JobId job, const Consumer& consumer) const;
  void greet(const client::Connected& connected);
  std::optional<protocol::TimePoint> next_deadline() const;
  bool needs_driving(protocol::TimePoint now) const;
  /// A chunk is open, or some user's thread is at its input and may open one.
  bool chunk_may_be_open() const;
  /// From now on a chunk may stay open too long, or nobody drive the loop.
  void end_rest();
  void run_in_background();
  void wake_pollers();

  const client::OwnProcess process_;
  PoolOptions options_;
  protocol::ProgramId program_;

  std::mutex mutex_;
  client::Session session_;
  std::unique_ptr<client::Cluster> cluster_;
  client::Commands commands_;
  std::map<protocol::JobId, Consumer> consumers_;
  std::uint64_t next_job_number_ = 1;
  protocol::ClientId id_;
  bool closed_ = false;

  const void* leader_ = nullptr;     // A Consumer, or this for the background thread.
  protocol::TimePoint last_driven_;  // By a user's thread.
  protocol::TimePoint last_turn_;
  protocol::TimePoint last_job_closed_;
  protocol::ShortWaits waits_;  // Of users' threads that led.
  int pollers_ = 0;
  std::optional<protocol::TimePoint> polling_until_;  // Of the last to start polling.
  std::condition_variable no_pollers_;
  int wake_fd_ = -1;
  std::condition_variable background_wake_;
  bool background_sleeps_ = false;  ///< Nothing needs to be driven.
  bool background_rests_ = false;   ///< It wakes for what comes, not by the clock.
  std::thread background_;
};

}  // namespace achilles::detail
