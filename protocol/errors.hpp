// ErrorRecord: what went wrong with an item or a job, as plain data that travels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace achilles::protocol {

/// On the wire: do not change these values.
enum class ErrorKind : std::uint8_t {
  kUserException = 0,      ///< The user's function threw.
  kInputUndecodable = 1,   ///< The item's bytes did not decode to the function's parameter.
  kResultUnencodable = 2,  ///< The function's result could not be encoded, or is too large.
  kTaskCrashed = 3,        ///< The task process died on this item, too often.
  kProgramRefused = 4,     ///< No worker can run the job's program.
  kJobRefused = 5,         ///< The broker does not accept the job.
};
inline constexpr std::uint8_t kErrorKindLast = 5;

/// A thrown exception, or the one nested in it.
struct Cause {
  std::string type;
  std::string what;
  bool operator==(const Cause&) const = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("type", self.type);
    visit("what", self.what);
  }
};

struct ErrorRecord {
  ErrorKind kind = ErrorKind::kUserException;
  std::vector<Cause> causes;  ///< Outermost first; never empty for kUserException.
  std::string worker;         ///< Name of the worker; empty where none was involved.
  std::string host;
  std::uint32_t pid = 0;       ///< The task process; 0 where none was involved.
  std::uint32_t attempts = 0;  ///< kTaskCrashed: how many task processes died.
  std::string detail;          ///< kTaskCrashed: how it ended ("signal 9 (Killed)"). Refusals: why.
  std::string stderr_tail;  ///< The last lines the task process wrote to stderr, if they were kept.
  /// kTaskCrashed: each death in turn, for people: "signal 9 (Killed) at worker n3 on node3, pid
  /// 7".
  std::vector<std::string> deaths;
  bool operator==(const ErrorRecord&) const = default;
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("kind", self.kind);
    visit("causes", self.causes);
    visit("worker", self.worker);
    visit("host", self.host);
    visit("pid", self.pid);
    visit("attempts", self.attempts);
    visit("detail", self.detail);
    visit("stderr_tail", self.stderr_tail);
    visit("deaths", self.deaths);
  }
};

}  // namespace achilles::protocol
