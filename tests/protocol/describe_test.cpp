// Messages for people, and programs' names.
#include "protocol/describe.hpp"

#include "protocol/content_hash.hpp"
#include "tests/protocol/samples.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

TEST_CASE("a message is described on one line") {
  const JobId job{{0x7f3a9c2101020304}, 4};
  CHECK(describe(Submit{job, {{0, {{3, 8, {}}, Bytes::copy(std::string(24, 'x'))}}}}) ==
        "SUBMIT job=7f3a9c21/4 chunks=[{first=0 items={count=3 stride=8 24 bytes}}]");
  CHECK(describe(Submit{job, {{5, {{2, 0, {0, 1}}, Bytes::copy("x")}}}}) ==
        "SUBMIT job=7f3a9c21/4 chunks=[{first=5 items={count=2 sizes=[0 1] 1 byte}}]");
  CHECK(describe(StatusRequest{}) == "STATUS_REQUEST");
  CHECK(describe(Rejected{RejectReason::kUnknownSession, "x"}) ==
        "REJECTED reason=unknown_session detail=\"x\"");
  CHECK(describe(ResultCredit{job, 10, std::nullopt}) ==
        "RESULT_CREDIT job=7f3a9c21/4 total_bytes=10 wanted=-");
  CHECK(describe(ResultCredit{job, 10, 7}) ==
        "RESULT_CREDIT job=7f3a9c21/4 total_bytes=10 wanted=7");
  CHECK(describe(Heartbeat{{0xab}}) == "HEARTBEAT session=00000000000000ab");
  CHECK(describe(WorkerState{1, 2, 3, true}) ==
        "WORKER_STATE slots=1 window_chunks=2 window_bytes=3 draining=true");
}

TEST_CASE("long lists and texts are shortened, and a peer's text cannot break the line") {
  Returned returned;
  for (unsigned i = 0; i < 20; ++i) returned.attempts.push_back({i});
  CHECK(describe(returned) == "RETURNED attempts=[0 1 2 3 4 5 6 7 … 12 more]");
  CHECK(describe(Bye{"a\nb\"c\x1b[31m"}) == "BYE reason=\"a\\nb\\\"c?[31m\"");
  CHECK(describe(Bye{std::string(1000, 'x')}).size() < 250);
  for (const auto& sample : samples::golden()) {
    CHECK(describe(sample.message).find('\n') == std::string::npos);
  }
}

TEST_CASE("a program's name is the BLAKE2b-256 hash of its bytes, in whatever pieces they come") {
  CHECK(to_hex(hash_of({})) == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  const Bytes abc = Bytes::copy("abc");
  CHECK(to_hex(hash_of(abc.span())) ==
        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  ContentHash pieces;
  pieces.update(abc.span().first(1));
  pieces.update({});
  pieces.update(abc.span().subspan(1));
  CHECK(pieces.finish() == hash_of(abc.span()));
}
