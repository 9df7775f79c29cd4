// The errors of achilles, all derived from achilles::Error. what() says what happened, where, and
// what to do next.
//
// Thread-safety: values; copying one may be done from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace achilles {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An exception as it was thrown at the other end, or the one nested in it.
struct Cause {
  std::string type;  ///< Demangled: "std::invalid_argument".
  std::string what;
};

/// Something went wrong with one item where it was worked on. Thrown where its result would have
/// been.
class RemoteError : public Error {
 public:
  enum class Kind {
    kException,          ///< The function threw.
    kInputUndecodable,   ///< The item's bytes did not decode to the function's parameter.
    kResultUnencodable,  ///< The function's result could not be encoded, or is too large.
    kTaskCrashed,        ///< See TaskCrashed.
  };
  struct Details {
    Kind kind = Kind::kException;
    std::uint64_t index = 0;
    std::string job;       ///< "7f3a9c21/4".
    std::string function;  ///< The callable's type, for people.
    std::vector<Cause> causes;
    std::string worker;
    std::string host;
    std::uint32_t pid = 0;
    std::uint32_t attempts = 1;
    std::string ending;               ///< kTaskCrashed: "signal 9 (Killed)".
    std::string stderr_tail;          ///< kTaskCrashed on a cluster: the last it wrote.
    std::vector<std::string> deaths;  ///< kTaskCrashed: each in turn, how and where.
  };
  explicit RemoteError(Details details);

  Kind kind() const noexcept { return details_->kind; }
  /// Position of the item in the job's input, from 0.
  std::uint64_t index() const noexcept { return details_->index; }
  const std::string& job() const noexcept { return details_->job; }
  /// Type and text of the exception that left the function; empty when none did.
  const std::string& type_name() const noexcept;
  const std::string& message() const noexcept;
  /// The exception that left the function, then those nested in it.
  const std::vector<Cause>& causes() const noexcept { return details_->causes; }
  const std::string& worker() const noexcept { return details_->worker; }
  const std::string& host() const noexcept { return details_->host; }
  std::uint32_t pid() const noexcept { return details_->pid; }

 protected:
  std::shared_ptr<const Details> details_;  // Shared: copying an exception must not throw.
};

/// The task process died on this item, as often as the crash limit allows.
class TaskCrashed : public RemoteError {
 public:
  using RemoteError::RemoteError;
  std::uint32_t attempts() const noexcept { return details_->attempts; }
  /// "signal 9 (Killed)", "exit status 3".
  const std::string& ending() const noexcept { return details_->ending; }
  /// Each death in turn: "signal 9 (Killed) at worker n3 on node3, pid 4711". The last 16 at most.
  const std::vector<std::string>& deaths() const noexcept { return details_->deaths; }
  /// The last the task process wrote to stderr; empty when embedded, where stderr is the program's
  /// own.
  const std::string& stderr_tail() const noexcept { return details_->stderr_tail; }
};

/// The function or what it captures cannot be sent to another process.
class NotShippable : public Error {
 public:
  using Error::Error;
};

/// An input takes more bytes, encoded, than the cluster accepts. Comes after the results of all
/// inputs before it.
class ItemTooLarge : public Error {
 public:
  ItemTooLarge(std::uint64_t index, std::uint64_t bytes, std::uint64_t bytes_max);
  /// Position of the item in the job's input, from 0.
  std::uint64_t index() const noexcept { return index_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t bytes_max() const noexcept { return bytes_max_; }

 private:
  std::uint64_t index_;
  std::uint64_t bytes_;
  std::uint64_t bytes_max_;
};

/// The whole job cannot run: no worker accepts the program, or the broker refuses the job.
class JobFailed : public Error {
 public:
  using Error::Error;
};

/// No broker answered for as long as PoolOptions::connect_timeout.
class BrokerUnreachable : public Error {
 public:
  using Error::Error;
};

/// The Pool was closed while the job was not finished.
class PoolClosed : public Error {
 public:
  using Error::Error;
};

}  // namespace achilles
