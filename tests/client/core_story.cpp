// What the client's core tells of what came before, when a job or the broker is lost.
#include "tests/client/core_harness.hpp"

using namespace achilles::client;
using namespace achilles::client::testing;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a job that the broker refuses carries its story, and not that of others") {
  Harness client;
  client.in_session();
  client.open(1);
  client.open(2);
  p::ErrorRecord error;
  error.kind = p::ErrorKind::kJobRefused;
  error.detail = "items that were submitted before.";
  client.broker(p::JobFailed{job_id(1), error});
  client.woken(1);
  const std::string detail = client.session.failure(job_id(1))->detail;
  INFO(detail);
  CHECK(detail.starts_with("items that were submitted before. (what came before: "));
  CHECK(has(detail, "0.0 s ago: a session with broker "));
  CHECK(has(detail, "job 00000000/1 was opened"));
  CHECK_FALSE(has(detail, "job 00000000/2"));
}

TEST_CASE("a broker that cannot be reached is told of with what came before") {
  Harness client;
  client.in_session();
  client.open(1);
  client.broker(p::Bye{"it stops"});
  client.sent<p::Bye>();
  client.take<Reconnect>();
  client.connect();
  client.pass(40s);
  REQUIRE(client.session.unreachable().has_value());
  const std::string why = *client.session.unreachable();
  INFO(why);
  CHECK(has(why, "(what came before: "));
  CHECK(why.ends_with("30.0 s ago: the broker said goodbye: it stops)"));
  client.commands.clear();
}

TEST_CASE("a broker that says the same again and again is told of once") {
  Harness client;
  client.connect();
  client.sent<p::Hello>();
  for (int i = 0; i < 600; ++i) {
    client.broker(p::Rejected{p::RejectReason::kWrongVersion, "version 9"});
  }
  REQUIRE(client.session.unreachable().has_value());
  const std::string why = *client.session.unreachable();
  INFO(why);
  CHECK(why.ends_with(" (what came before: 0.0 s ago: the broker said: version 9)"));
}
