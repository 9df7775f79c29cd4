// Options, to be given by designated initialisers: pool.map(f, inputs, {.chunksize = 64}).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace achilles {

/// Of a Pool.
struct PoolOptions {
  /// tcp://HOST:PORT of a broker, or of several, separated by commas: the first that answers is
  /// taken, and when it goes away the next. Empty: $ACHILLES_BROKER, else the access file
  /// ($ACHILLES_ACCESS, else $XDG_CONFIG_HOME/achilles/access.json), else this process is broker
  /// and worker itself.
  std::string broker = {};
  /// Embedded only: task processes at a time; 0: one per usable core. With `slots` given and no
  /// `broker`, the Pool is embedded whatever the environment says.
  std::uint32_t slots = 0;
  /// How long a broker may be out of reach before calls throw BrokerUnreachable; zero: for ever.
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(30);
  /// Results of one job that wait here until they are asked for, at most, in bytes.
  std::uint64_t result_bytes_max = 8ULL << 20;
  /// Say on stderr what is waited for, and, on a terminal, which cluster was found.
  bool progress = true;
};

/// Of one call of map, imap, imap_unordered or apply.
struct CallOptions {
  /// Items sent together, at most 65536; 0: chosen by measured times.
  std::uint64_t chunksize = 0;
  /// Deaths of a task process on one item before that item fails with TaskCrashed.
  std::uint32_t crash_limit = 3;
  /// On a cluster: when slots are idle, run chunks that take far longer than the others a second
  /// time, at another worker, and take the result that comes first. Switch it off for functions
  /// that must not run twice at the same time, or whose items are meant to differ that much.
  bool second_attempts = true;
  /// Look for pointers among the function's captures before it is sent (throws NotShippable).
  bool check_captures = true;
};

}  // namespace achilles
