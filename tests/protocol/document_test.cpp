// PROTOCOL.md against the code: what the document says of names, numbers, fields and limits is so.
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "protocol/codec.hpp"
#include "protocol/limits.hpp"
#include "protocol/version.hpp"
#include "tests/protocol/samples.hpp"
#include "tests/support/catch.hpp"

using namespace achilles::protocol;

namespace {

using Row = std::vector<std::string>;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// The rows of the table that has this first line, without its two head lines.
std::vector<Row> table_under(const std::string& head) {
  std::ifstream file(ACHILLES_PROTOCOL_DOCUMENT);
  REQUIRE(file.is_open());
  std::string line;
  while (std::getline(file, line) && line != head) {
  }
  REQUIRE(line == head);
  std::getline(file, line);
  std::vector<Row> rows;
  while (std::getline(file, line) && line.starts_with('|')) {
    Row& row = rows.emplace_back();
    std::istringstream cells(line.substr(1));
    for (std::string cell; std::getline(cells, cell, '|');) row.push_back(trimmed(cell));
  }
  return rows;
}

template <class T>
std::string fields_of(T value = {}) {
  std::string names;
  T::fields(value, [&names](const char* name, auto&) {
    if (!names.empty()) names += ", ";
    names += name;
  });
  return names;
}

template <std::size_t... index>
std::map<std::string, Row> messages_in_code(std::index_sequence<index...>) {
  std::map<std::string, Row> rows;
  const auto add = [&rows]<class T>(T) {
    const std::string name(name_of(T::kType));
    rows[name] = {std::to_string(static_cast<int>(T::kType)), fields_of<T>()};
  };
  (add(std::variant_alternative_t<index, Message>{}), ...);
  return rows;
}

}  // namespace

TEST_CASE("the document's messages are those of the code, with numbers and fields") {
  const auto code = messages_in_code(std::make_index_sequence<std::variant_size_v<Message>>());
  const auto rows = table_under("| number | name | sent by | fields | meaning |");
  CHECK(rows.size() == code.size());
  for (const auto& row : rows) {
    REQUIRE(row.size() == 5);
    INFO(row[1]);
    REQUIRE(code.count(row[1]) == 1);
    CHECK(row[0] == code.at(row[1])[0]);
    CHECK(row[3] == code.at(row[1])[1]);
    CHECK_FALSE(row[2].empty());
    CHECK_FALSE(row[4].empty());
  }
}

TEST_CASE("the document's structures have the fields of the code") {
  const std::map<std::string, std::string> code = {
      {"Chunk", fields_of<Chunk>()},
      {"Assignment", fields_of<Assignment>()},
      {"ChunkResult", fields_of<ChunkResult>()},
      {"HeldAttempt", fields_of<HeldAttempt>()},
      {"ItemError", fields_of<ItemError>()},
      {"ErrorRecord", fields_of<ErrorRecord>()},
      {"Cause", fields_of<Cause>()},
      {"WorkerStatus", fields_of<WorkerStatus>()},
      {"JobStatus", fields_of<JobStatus>()},
  };
  const auto rows = table_under("| structure | fields | meaning |");
  CHECK(rows.size() == code.size());
  for (const auto& row : rows) {
    INFO(row[0]);
    REQUIRE(code.count(row[0]) == 1);
    CHECK(row[1] == code.at(row[0]));
  }
}

TEST_CASE("the document's limits are those of the code") {
  const std::map<std::string, std::uint64_t> code = {
      {"kMaxPayloadBytes", kMaxPayloadBytes},
      {"kMaxContextBytes", kMaxContextBytes},
      {"kMaxProgramBytes", kMaxProgramBytes},
      {"kPartBytes", kPartBytes},
      {"kMaxWholeBytes", kMaxWholeBytes},
      {"kSentPartBytes", kSentPartBytes},
      {"kPartsInFlightBytes", kPartsInFlightBytes},
      {"kMaxStreams", kMaxStreams},
      {"kInlineBytes", kInlineBytes},
      {"kMaxHeaderBytes", kMaxHeaderBytes},
      {"kMaxFrames", kMaxFrames},
      {"kMaxItemsPerChunk", kMaxItemsPerChunk},
      {"kMaxTextBytes", kMaxTextBytes},
      {"kBatchChunks", kBatchChunks},
      {"kBatchBytes", kBatchBytes},
  };
  const auto rows = table_under("| limit | value | of |");
  CHECK(rows.size() == code.size());
  for (const auto& row : rows) {
    INFO(row[0]);
    REQUIRE(code.count(row[0]) == 1);
    CHECK(row[1] == std::to_string(code.at(row[0])));
  }
  // Said in its prose.
  CHECK(kInlineBytes == 4096);
  CHECK(kResultOverheadBytes == 128);
  CHECK(kSuspectAfter == 3);
  CHECK(kLostAfter == 5);
  CHECK(kHeartbeatInterval == std::chrono::seconds(1));
}

TEST_CASE("the document is of this version and its example is what the code sends") {
  std::ifstream file(ACHILLES_PROTOCOL_DOCUMENT);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  CHECK(text.starts_with("# The protocol of achilles, version " + std::to_string(kProtocolVersion) +
                         "\n"));

  auto at = text.find("    41 43 48 4c |");
  REQUIRE(at != std::string::npos);
  std::istringstream line(text.substr(at, text.find('\n', at) - at));
  std::vector<std::byte> bytes;
  for (std::string word; line >> word;) {
    if (word != "|") bytes.push_back(static_cast<std::byte>(std::stoul(word, nullptr, 16)));
  }
  CHECK(encode(ResultCredit{{{0x7f3a9c2101020304}, 4}, 1'000'000, 77})[0] == Bytes::own(bytes));
}
