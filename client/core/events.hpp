// All that can happen to the client's core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "protocol/messages.hpp"

namespace achilles::client {

struct BrokerMessage {
  protocol::Message message;
};
/// Bytes came from the broker that are no message.
struct BrokerMalformed {
  std::string detail;
};
/// A part of a message came from the broker, or it took parts: a sign of life and nothing more.
struct BrokerHeard {};
/// A broker of the list that was asked whether it is there (AskWhetherThere) answered.
struct BrokerThere {
  std::size_t broker = 0;
};
/// The user called map, imap, apply…
struct JobOpened {
  protocol::OpenJob spec;
  bool ordered = true;
  std::uint64_t chunksize = 0;              ///< 0: chosen here.
  std::optional<std::uint64_t> item_count;  ///< Where the input knows its size.
};
/// The next items of the job's input, encoded: one chunk, or several where the user chose their
/// size.
struct ChunkClosed {
  protocol::JobId job;
  protocol::Items items;
};
/// The job's input has no more items.
struct InputEnded {
  protocol::JobId job;
};
/// The user's thread has nothing to do until the job's next result is there.
struct ConsumerWaits {
  protocol::JobId job;
};
/// The user wants no more of the job: it was delivered whole, or its loop was left.
struct JobClosed {
  protocol::JobId job;
};

using Event = std::variant<BrokerMessage, BrokerMalformed, BrokerHeard, BrokerThere, JobOpened,
                           ChunkClosed, InputEnded, ConsumerWaits, JobClosed>;

}  // namespace achilles::client
