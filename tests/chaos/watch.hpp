// Waiting, with what may end it: a failure, a deadline far beyond anything ordinary, Ctrl-C.
//
// Thread-safety: any thread.
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

namespace achilles::tests {

/// Something under test did what it must not, or did not do what it must.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user has had enough.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// From now on SIGINT, SIGTERM and SIGHUP make check_interrupted throw.
void watch_interrupts();
void check_interrupted();

/// Far beyond what anything takes on a machine that is busy with other work, after all faults have
/// been healed.
inline constexpr std::chrono::seconds kHealedPatience{180};
/// A client that is silent may come back for so long: longer than any fault lasts.
inline constexpr std::chrono::seconds kClientGrace{60};
/// What may have to wait until the broker gives up a client that was killed: so long workers hold
/// its results.
inline constexpr std::chrono::seconds kGracePatience = kClientGrace + kHealedPatience;

/// Looks until `holds()`. Throws Failure, saying `what` was waited for, and Interrupted.
void await(const std::string& what, const std::function<bool()>& holds,
           std::chrono::milliseconds patience = kHealedPatience);

}  // namespace achilles::tests
