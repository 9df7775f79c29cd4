// Fetching one program in parts, a few of them on their way at a time.
//
// Parts are passed on in order of their offset, each once, whatever order they come in. At most
// kPartsAhead parts are asked for or wait here, which bounds the memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/messages.hpp"
#include "protocol/time.hpp"

namespace achilles::worker {

class ProgramFetch {
 public:
  static constexpr std::uint64_t kPartsAhead = 4;
  static constexpr protocol::Duration kAskAgainAfter = std::chrono::seconds(5);

  ProgramFetch() = default;
  explicit ProgramFetch(protocol::ProgramId program) : program_(program) {}

  struct Taken {
    std::vector<protocol::ProgramPart> in_order;  ///< To be stored now.
    bool complete = false;
    std::string misfit;  ///< Not empty: the part cannot belong to this program; one sentence.
  };
  /// A part that was not asked for (an answer that came twice) is dropped.
  Taken take(protocol::ProgramPart part);
  /// What to ask for now: parts not asked for yet, and those whose answer is overdue.
  std::vector<protocol::NeedProgram> ask(protocol::TimePoint now);
  std::optional<protocol::TimePoint> deadline() const;
  void extend(protocol::Duration gap);

 private:
  std::string misfit_of(const protocol::ProgramPart& part) const;

  protocol::ProgramId program_;
  std::optional<std::uint64_t> total_bytes_;  ///< Known from the first part that comes.
  std::uint64_t next_to_ask_ = 0;
  std::uint64_t next_to_store_ = 0;
  std::map<std::uint64_t, protocol::TimePoint> asked_;    ///< Offset → when.
  std::map<std::uint64_t, protocol::ProgramPart> early_;  ///< Came before one with a lower offset.
};

}  // namespace achilles::worker
