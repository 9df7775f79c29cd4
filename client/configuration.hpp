// Where the cluster is: the Pool's options, the environment, the access file.
//
// Never a file in the working folder: it would send the program to whoever wrote it.
#pragma once

#include <optional>
#include <string>

#include "achilles/options.hpp"

namespace achilles::client {

struct BrokerAddress {
  std::string endpoints;  ///< One, or several separated by commas.
  std::string source;     ///< For messages: "$ACHILLES_BROKER".
};

/// The broker's address; nothing when the Pool is to be embedded. Throws Error when the
/// configuration is wrong: an access file that is not the user's own, is writable by others, or is
/// not understood.
std::optional<BrokerAddress> find_broker(const PoolOptions& options);

}  // namespace achilles::client
