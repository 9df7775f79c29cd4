// Messages to test with: one fixed sample of each kind and more (the golden ones), and random ones.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "protocol/messages.hpp"

namespace achilles::protocol::samples {

struct Sample {
  std::string name;  ///< Also the golden file's: "submit", "submit_external".
  Message message;
};

/// Every message type at least once. Their bytes are pinned: add samples, never change one.
std::vector<Sample> golden();

/// Any valid contents. `size` scales texts, lists and payloads.
Message random_message(std::mt19937_64& random, std::size_t type_index, std::size_t size);

}  // namespace achilles::protocol::samples
