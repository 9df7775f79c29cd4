// achilles-sim as people use it.
#include <string>

#include "tests/support/catch.hpp"
#include "tests/support/process.hpp"

using namespace achilles::tests;

namespace {

struct Run {
  Ending ending;
  std::string out;
  std::string err;
};

Run simulate(std::vector<std::string> arguments) {
  Process process(ACHILLES_SIM_PROGRAM, {.arguments = std::move(arguments)});
  const auto ending = process.wait();
  REQUIRE(ending.has_value());
  return {*ending, process.out(), process.err()};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("it says first what it runs and last what happened") {
  const Run run = simulate({"--seed", "5", "--seeds", "3", "--verbose"});
  CHECK(run.ending == kSucceeded);
  CHECK(run.out.starts_with("achilles-sim --seed 5"));
  CHECK(has(run.out, "seed 7: "));
  CHECK(has(run.out, "\nworlds                      3\n"));
  CHECK(has(run.out, "of CPU time"));
  CHECK(run.err.empty());
}

TEST_CASE("a broken promise ends it, with the world's story and the command that shows it again") {
  // No world is over at once.
  const std::vector<std::string> impatient{"--workers", "5",        "--chunks",      "100",
                                           "--faults",  "10",       "--seed",        "3",
                                           "--kinds",   "cut,hold", "--patience-ms", "0"};
  const Run run = simulate(impatient);
  CHECK(run.ending == Ending{1, 0});
  CHECK(has(run.err, "seed 3: it takes too long"));
  CHECK(has(run.err, "cut: peer"));
  CHECK(has(run.err, "The last messages"));
  const std::string command =
      "achilles-sim --seed 3 --workers 5 --chunks 100 --slots 1-4 --latency 50-2000 --faults 10 "
      "--kinds cut=1,hold=1 --patience-ms 0 --story";
  CHECK(has(run.err, "To see it again: " + command + "\n"));
}

TEST_CASE("it measures the broker") {
  const Run run = simulate({"--workers", "20", "--chunks", "400", "--measure"});
  CHECK(run.ending == kSucceeded);
  CHECK(has(run.out, "us of CPU time a chunk"));
}

TEST_CASE("what it cannot do is said in one sentence") {
  const Run kind = simulate({"--kinds", "earthquake"});
  CHECK(kind.ending == Ending{2, 0});
  CHECK(has(kind.err, "earthquake"));
  CHECK(has(kind.err, "stall-broker"));
  const Run range = simulate({"--slots", "4-1"});
  CHECK(range.ending == Ending{2, 0});
  CHECK(has(range.err, "--slots"));
}
