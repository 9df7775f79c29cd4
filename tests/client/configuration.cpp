// Where a Pool finds its cluster, and whom it trusts to tell.
#include "client/configuration.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "achilles/pool.hpp"
#include "tests/client/pool_test_support.hpp"
#include "tests/support/catch.hpp"

using namespace achilles;
using client::find_broker;
using pool_test::Folder;

namespace {

/// Sets variables for one test, and forgets the others that find_broker looks at.
class Environment {
 public:
  Environment() {
    for (const char* name : {"ACHILLES_BROKER", "ACHILLES_ACCESS", "XDG_CONFIG_HOME", "HOME"}) {
      const char* value = std::getenv(name);
      before_.emplace_back(name,
                           value != nullptr ? std::optional<std::string>(value) : std::nullopt);
      ::unsetenv(name);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value) {
        set(name, *value);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

void write(const std::filesystem::path& path, const std::string& text, mode_t mode = 0600) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

std::string access_to(const std::string& endpoint) {
  return R"({"broker": ")" + endpoint + R"("})";
}

std::string endpoint_of(const PoolOptions& options = {}) {
  const auto broker = find_broker(options);
  return broker ? broker->endpoints : "embedded";
}

std::string complaint() {
  try {
    find_broker({});
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("options come before the environment, and that before access files") {
  const Folder folder;
  Environment environment;
  CHECK(endpoint_of() == "embedded");

  environment.set("HOME", folder.file("home"));
  CHECK(endpoint_of() == "embedded");  // There is no file.
  write(folder.file("home/.config/achilles/access.json"), access_to("tcp://home:1"));
  CHECK(endpoint_of() == "tcp://home:1");

  environment.set("XDG_CONFIG_HOME", folder.file("config"));
  CHECK(endpoint_of() == "embedded");
  write(folder.file("config/achilles/access.json"), access_to("tcp://config:1"));
  CHECK(endpoint_of() == "tcp://config:1");

  environment.set("ACHILLES_ACCESS", folder.file("named.json"));
  write(folder.file("named.json"), access_to("tcp://named:1"));
  CHECK(endpoint_of() == "tcp://named:1");
  CHECK(find_broker({})->source == "the access file " + folder.file("named.json"));

  environment.set("ACHILLES_BROKER", "tcp://variable:1");
  CHECK(endpoint_of() == "tcp://variable:1");
  CHECK(find_broker({})->source == "$ACHILLES_BROKER");

  CHECK(endpoint_of({.broker = "tcp://option:1"}) == "tcp://option:1");
  CHECK(endpoint_of({.slots = 2}) == "embedded");
}

TEST_CASE("a file in the working folder is not looked at") {
  const Folder folder;
  Environment environment;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.file(""));
  write(folder.file("access.json"), access_to("tcp://trap:1"));
  write(folder.file("achilles/access.json"), access_to("tcp://trap:1"));
  CHECK(endpoint_of() == "embedded");
  std::filesystem::current_path(before);
}

TEST_CASE("an access file that others may write is not trusted") {
  const Folder folder;
  Environment environment;
  const std::string path = folder.file("access.json");
  environment.set("ACHILLES_ACCESS", path);
  for (const mode_t mode : {0620U, 0602U}) {
    write(path, access_to("tcp://trap:1"), mode);
    CHECK_THAT(complaint(), Catch::Contains(path + ": others may write it; run chmod go-w"));
  }
  write(path, access_to("tcp://fine:1"), 0644);
  CHECK(endpoint_of() == "tcp://fine:1");
  if (::geteuid() != 0) return;  // Only root can give a file away.
  REQUIRE(::chown(path.c_str(), 12345, static_cast<gid_t>(-1)) == 0);
  CHECK_THAT(complaint(), Catch::Contains("it belongs to another user"));
}

TEST_CASE("an access file that says nothing is an error, not an embedded Pool") {
  const Folder folder;
  Environment environment;
  const std::string path = folder.file("access.json");
  environment.set("ACHILLES_ACCESS", path);
  CHECK_THAT(complaint(), Catch::Contains("cannot read the access file " + path));
  for (const auto& text : {"", "{", "[]", "{}", R"({"broker": 5})"}) {
    write(path, text);
    CHECK_THAT(complaint(), Catch::Contains("does not understand the access file " + path));
  }
}

TEST_CASE("an address that cannot be used is complained of with its source") {
  Environment environment;
  environment.set("ACHILLES_BROKER", "node7:5555");
  CHECK_THROWS_WITH(Pool{},
                    Catch::Contains("the broker's address in $ACHILLES_BROKER: \"node7:5555\""));
  CHECK_THROWS_WITH(Pool::connect("node7"), Catch::Contains("in the Pool's options: \"node7\""));
}
