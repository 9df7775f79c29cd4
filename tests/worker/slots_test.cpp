#include "worker/slots.hpp"

#include "tests/support/catch.hpp"

using namespace achilles::worker;

TEST_CASE("a quota is read in whole cores, rounded up") {
  REQUIRE(cores_of_cpu_max("max 100000\n") == std::nullopt);
  REQUIRE(cores_of_cpu_max("100000 100000\n") == 1U);
  REQUIRE(cores_of_cpu_max("150000 100000\n") == 2U);
  REQUIRE(cores_of_cpu_max("1000 100000\n") == 1U);
  REQUIRE(cores_of_cpu_max("3200000 100000") == 32U);
  REQUIRE(cores_of_cfs("-1\n", "100000\n") == std::nullopt);
  REQUIRE(cores_of_cfs("250000\n", "100000\n") == 3U);
}

TEST_CASE("what is no quota limits nothing") {
  for (const char* text :
       {"", " ", "max", "100000", "-5 100000", "5 0", "x y", "99999999999999999999 1"}) {
    INFO(text);
    REQUIRE(cores_of_cpu_max(text) == std::nullopt);
  }
  REQUIRE(cores_of_cfs("", "") == std::nullopt);
}

TEST_CASE("a process's control groups are found in both versions") {
  const auto v2 = cgroup_paths("0::/user.slice/app.scope\n");
  REQUIRE(v2.v2 == "/user.slice/app.scope");
  REQUIRE_FALSE(v2.cpu);
  const auto both = cgroup_paths("9:cpuset:/a\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/\n");
  REQUIRE(both.v2 == "/");
  REQUIRE(both.cpu == "/docker/x");
  REQUIRE_FALSE(cgroup_paths("garbage\n:\n").v2);
}

TEST_CASE("the quota of an ancestor counts") {
  REQUIRE(with_ancestors("/a/b") == std::vector<std::string>{"/a/b", "/a", ""});
  REQUIRE(with_ancestors("/") == std::vector<std::string>{""});
}

TEST_CASE("there is at least one core") {
  REQUIRE(usable_cores() >= 1);
}
