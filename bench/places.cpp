#include "bench/places.hpp"

#include <stdexcept>

#include "tests/support/process.hpp"

namespace achilles::bench {
namespace {

class Embedded final : public Place {
 public:
  explicit Embedded(std::uint32_t slots) : slots_(slots) {}
  std::string name() const override { return "embedded"; }
  Pool pool() const override { return Pool::local(slots_); }
  std::map<std::string, std::string> environment() const override { return {}; }

 private:
  std::uint32_t slots_;
};

class OverTcp final : public Place {
 public:
  explicit OverTcp(std::uint32_t slots)
      : broker_(ACHILLES_BROKER_PROGRAM, {.arguments = {"--bind", "tcp://127.0.0.1:0"}}),
        endpoint_(endpoint_in(broker_.first_line())),
        worker_(ACHILLES_WORKER_PROGRAM,
                {.arguments = {"--broker", endpoint_, "--slots", std::to_string(slots), "--cache",
                               cache_.path()}}) {}
  std::string name() const override { return "tcp"; }
  Pool pool() const override { return Pool{{.broker = endpoint_, .progress = false}}; }
  std::map<std::string, std::string> environment() const override {
    return {{"ACHILLES_BROKER", endpoint_}};
  }

 private:
  /// The broker's first line ends with where it listens.
  static std::string endpoint_in(const std::string& line) {
    const auto at = line.find("tcp://");
    if (at == std::string::npos) throw std::runtime_error("achilles-broker did not start");
    return line.substr(at, line.find_first_of(" \n", at) - at);
  }

  tests::TemporaryFolder cache_;
  tests::Process broker_;
  std::string endpoint_;
  tests::Process worker_;
};

}  // namespace

const std::vector<std::string>& place_names() {
  static const std::vector<std::string> names{"embedded", "tcp"};
  return names;
}

std::unique_ptr<Place> make_place(const std::string& name, std::uint32_t slots) {
  if (name == "tcp") return std::make_unique<OverTcp>(slots);
  return std::make_unique<Embedded>(slots);
}

}  // namespace achilles::bench
