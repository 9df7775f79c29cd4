// BrokerQuestion: is there a broker at that address, which speaks our version?
//
// A connection of its own for one HELLO of an observer and the WELCOME to it. Thread ownership: the
// thread that owns the context's other sockets.
#pragma once

#include <cstddef>
#include <string>

#include "protocol/transport/socket.hpp"

namespace achilles::protocol {

class BrokerQuestion {
 public:
  /// `broker` is what the caller calls it.
  BrokerQuestion(Context& context, std::size_t broker, const std::string& endpoint);
  ~BrokerQuestion();

  std::size_t broker() const { return broker_; }
  DealerSocket& socket() { return socket_; }
  /// Sends what could not go out before, reads what has come. Does not wait: whoever does not watch
  /// socket() calls it from time to time.
  bool answered();

 private:
  std::size_t broker_;
  DealerSocket socket_;
  bool answered_ = false;
};

}  // namespace achilles::protocol
