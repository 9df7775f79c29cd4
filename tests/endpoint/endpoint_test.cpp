#include "protocol/transport/endpoint.hpp"

#include <stdexcept>
#include <string>

#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

template <class Parse>
std::string refusal(Parse parse, const std::string& text) {
  try {
    parse(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "(accepted)";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("well-formed addresses are taken apart and written again") {
  const auto text =
      GENERATE(as<std::string>{}, "tcp://127.0.0.1:5555", "tcp://node-7.lab:1", "tcp://[::1]:65535",
               "tcp://*:0", "tcp://eth0:5555", "tcp://[fe80::1234]:5555");
  CHECK(to_string(parse_endpoint(text)) == text);
}

TEST_CASE("localhost becomes the address that libzmq can bind, and port * the system's choice") {
  CHECK(parse_endpoint("tcp://localhost:5555") == Endpoint{"127.0.0.1", 5555});
  CHECK(parse_endpoint("tcp://127.0.0.1:*") == Endpoint{"127.0.0.1", 0});
}

TEST_CASE("each mistake is named") {
  const auto [text, reason] = GENERATE(table<std::string, std::string>({
      {"", "tcp://"},
      {"127.0.0.1:5555", "does not begin with tcp://"},
      {"ipc:///tmp/x", "does not begin with tcp://"},
      {"tcp://127.0.0.1", "port is missing"},
      {"tcp://:5555", "host is missing"},
      {"tcp://127.0.0.1:", "port \"\""},
      {"tcp://127.0.0.1:70000", "port \"70000\""},
      {"tcp://127.0.0.1:-1", "port \"-1\""},
      {"tcp://127.0.0.1:55x", "port \"55x\""},
      {"tcp://127.0.0.1:5555/", "port \"5555/\""},
      {"tcp://1.2.3:5555", "no IPv4 address"},
      {"tcp://300.0.0.1:5555", "no IPv4 address"},
      {"tcp://::1:5555", "needs brackets"},
      {"tcp://[::1]", "tcp://[ADDRESS]:PORT"},
      {"tcp://[::1:5555", "tcp://[ADDRESS]:PORT"},
      {"tcp://[::g]:5555", "no IPv6 address"},
      {"tcp://a b:5555", "contains ' '"},
      {"tcp://10.0.0.1;10.0.0.2:5555", "contains ';'"},
  }));
  const std::string sentence = refusal(parse_endpoint, text);
  INFO(sentence);
  CHECK(contains(sentence, reason));
  CHECK(sentence.starts_with("\"" + text + "\""));
  CHECK(sentence.ends_with("."));
}

TEST_CASE("addresses that name nobody cannot be connected to") {
  CHECK(parse_peer_endpoint("tcp://node7:5555") == Endpoint{"node7", 5555});
  CHECK(contains(refusal(parse_peer_endpoint, "tcp://*:5555"), "name the machine"));
  CHECK(contains(refusal(parse_peer_endpoint, "tcp://0.0.0.0:5555"), "name the machine"));
  CHECK(contains(refusal(parse_peer_endpoint, "tcp://[::]:5555"), "name the machine"));
  CHECK(contains(refusal(parse_peer_endpoint, "tcp://node7:0"), "port 0"));
}

TEST_CASE("loopback is what only this machine reaches") {
  CHECK(is_loopback(parse_endpoint("tcp://127.0.0.1:1")));
  CHECK(is_loopback(parse_endpoint("tcp://127.9.9.9:1")));
  CHECK(is_loopback(parse_endpoint("tcp://localhost:1")));
  CHECK(is_loopback(parse_endpoint("tcp://[::1]:1")));
  CHECK_FALSE(is_loopback(parse_endpoint("tcp://*:1")));
  CHECK_FALSE(is_loopback(parse_endpoint("tcp://0.0.0.0:1")));
  CHECK_FALSE(is_loopback(parse_endpoint("tcp://[::]:1")));
  CHECK_FALSE(is_loopback(parse_endpoint("tcp://192.168.0.1:1")));
  CHECK_FALSE(is_loopback(parse_endpoint("tcp://node7:1")));
}

TEST_CASE("several addresses are separated by commas, each a good one, none twice") {
  CHECK(parse_peer_endpoints("tcp://a:1") == std::vector<Endpoint>{{"a", 1}});
  CHECK(parse_peer_endpoints("tcp://b:5555,tcp://[::1]:2") ==
        std::vector<Endpoint>{{"b", 5555}, {"::1", 2}});
  const auto refused = [](const std::string& text) {
    return refusal([](std::string_view t) { return parse_peer_endpoints(t).front(); }, text);
  };
  CHECK(contains(refused("tcp://a:1,tcp://a:1"), "in the list already"));
  CHECK(contains(refused("tcp://a:1,"), "\"\" is not an address"));
  CHECK(contains(refused("tcp://a:1,node7"), "\"node7\" is not an address"));
  CHECK(contains(refused("tcp://a:1, tcp://b:2"), "does not begin with tcp://"));
}
