#include "client/cli/status_text.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/catch.hpp"

using namespace achilles;
using cli::status_json;
using cli::status_table;

namespace {

const std::string kEndpoint = "tcp://127.0.0.1:5555";

protocol::StatusReply busy_cluster() {
  protocol::StatusReply status;
  status.boot.value = 0xFEDCBA9876543210;
  status.host = "head";
  status.pid = 17;
  status.library_version = "0.1.0";
  status.uptime_ms = 8'000'000;
  status.rejected_messages = 1;
  status.clients = 2;
  status.workers.push_back({{1}, "n3", "node3", 4321, 8, 12, 340, 0, "ready"});
  status.workers.push_back({{2}, "large-name", "n4", 9, 24, 0, 7, 2, "draining"});
  status.jobs.push_back(
      {{{0x7f3a9c2100000000}, 4}, "word_count", "word_count@n1:812", 1200, 64, 9000, 2});
  return status;
}

}  // namespace

TEST_CASE("the table of a busy cluster") {
  CHECK(status_table(busy_cluster(), kEndpoint) ==
        "broker tcp://127.0.0.1:5555 on head, pid 17, achilles 0.1.0, up 2 h 13 min\n"
        "2 workers, 32 slots, 2 clients, 1 job, 1 rejected message\n"
        "\n"
        "WORKER      HOST    PID  SLOTS  RUNNING  DONE  CRASHES  STATE\n"
        "n3          node3  4321      8       12   340        0  ready\n"
        "large-name  n4        9     24        0     7        2  draining\n"
        "\n"
        "JOB         LABEL       CLIENT             DONE  RUNNING  QUEUED  REQUEUED\n"
        "7f3a9c21/4  word_count  word_count@n1:812  1200       64    9000         2\n");
}

TEST_CASE("the table of a broker that is alone is two lines") {
  protocol::StatusReply status;
  status.host = "head";
  status.pid = 17;
  status.library_version = "0.1.0";
  CHECK(status_table(status, kEndpoint) ==
        "broker tcp://127.0.0.1:5555 on head, pid 17, achilles 0.1.0, up 0 s\n"
        "0 workers, 0 slots, 0 clients, 0 jobs, 0 rejected messages\n");
}

TEST_CASE("how long the broker has been up is told in two units") {
  const auto [uptime_ms, expected] = GENERATE(table<std::uint64_t, std::string>({
      {999, "up 0 s\n"},
      {59'999, "up 59 s\n"},
      {60'000, "up 1 min 0 s\n"},
      {3'599'000, "up 59 min 59 s\n"},
      {90'000'000, "up 1 d 1 h\n"},
  }));
  protocol::StatusReply status;
  status.uptime_ms = uptime_ms;
  CHECK(status_table(status, kEndpoint).find(expected) != std::string::npos);
}

TEST_CASE("names from other machines cannot steer the terminal or break the columns") {
  auto status = busy_cluster();
  status.workers[0].name =
      "\x1b[2J\xC2\x9B"
      "1mn3\n";
  status.workers[1].name = "";
  status.jobs[0].label = "κλάση";
  status.jobs[0].client = std::string(100, 'x');
  const auto text = status_table(status, kEndpoint);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("?[2J?1mn3?  node3") != std::string::npos);
  CHECK(text.find("\n-           n4") != std::string::npos);
  CHECK(text.find("κλάση  " + std::string(47, 'x') + "…  1200") != std::string::npos);
}

TEST_CASE("the JSON says all that the broker says") {
  const auto json = nlohmann::json::parse(status_json(busy_cluster(), kEndpoint));
  CHECK(json["broker"] == nlohmann::json{{"endpoint", kEndpoint},
                                         {"boot_id", "fedcba9876543210"},
                                         {"host", "head"},
                                         {"pid", 17},
                                         {"version", "0.1.0"},
                                         {"uptime_ms", 8'000'000},
                                         {"clients", 2},
                                         {"rejected_messages", 1}});
  REQUIRE(json["workers"].size() == 2);
  CHECK(json["workers"][0] == nlohmann::json{{"id", "0000000000000001"},
                                             {"name", "n3"},
                                             {"host", "node3"},
                                             {"pid", 4321},
                                             {"slots", 8},
                                             {"running_chunks", 12},
                                             {"done_chunks", 340},
                                             {"crashes", 0},
                                             {"state", "ready"}});
  REQUIRE(json["jobs"].size() == 1);
  CHECK(json["jobs"][0] == nlohmann::json{{"client_id", "7f3a9c2100000000"},
                                          {"number", 4},
                                          {"label", "word_count"},
                                          {"client", "word_count@n1:812"},
                                          {"done_items", 1200},
                                          {"running_items", 64},
                                          {"queued_items", 9000},
                                          {"requeued_chunks", 2}});
}

TEST_CASE("the JSON of a broker that is alone has empty lists") {
  const auto json = nlohmann::json::parse(status_json({}, kEndpoint));
  CHECK(json["workers"] == nlohmann::json::array());
  CHECK(json["jobs"] == nlohmann::json::array());
}

TEST_CASE("a name that is not UTF-8 does not spoil the JSON") {
  auto status = busy_cluster();
  status.workers[0].name = "n\xff";
  const auto json = nlohmann::json::parse(status_json(status, kEndpoint));
  CHECK(json["workers"][0]["name"] == "n\xEF\xBF\xBD");
}
