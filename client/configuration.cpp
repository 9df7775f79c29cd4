#include "client/configuration.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "achilles/error.hpp"

namespace achilles::client {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::filesystem::path default_access_file() {
  if (const auto folder = environment("XDG_CONFIG_HOME"); !folder.empty()) {
    return std::filesystem::path(folder) / "achilles" / "access.json";
  }
  if (const auto home = environment("HOME"); !home.empty()) {
    return std::filesystem::path(home) / ".config" / "achilles" / "access.json";
  }
  return {};
}

/// Whoever can write the file can have the user's programs sent anywhere.
void require_own_file(const std::filesystem::path& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    throw Error("achilles cannot read the access file " + path.string() +
                ": check that it exists, or unset $ACHILLES_ACCESS");
  }
  if (status.st_uid != geteuid()) {
    throw Error("achilles does not trust the access file " + path.string() +
                ": it belongs to another user; make one of your own");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error("achilles does not trust the access file " + path.string() +
                ": others may write it; run chmod go-w on it");
  }
}

BrokerAddress read_broker(const std::filesystem::path& path) {
  require_own_file(path);
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object() || !json.contains("broker") || !json["broker"].is_string()) {
    throw Error("achilles does not understand the access file " + path.string() +
                R"(: it must be JSON like {"broker": "tcp://HOST:PORT"})");
  }
  return {json["broker"].get<std::string>(), "the access file " + path.string()};
}

}  // namespace

std::optional<BrokerAddress> find_broker(const PoolOptions& options) {
  if (!options.broker.empty()) return BrokerAddress{options.broker, "the Pool's options"};
  if (options.slots != 0) return std::nullopt;
  if (auto broker = environment("ACHILLES_BROKER"); !broker.empty()) {
    return BrokerAddress{std::move(broker), "$ACHILLES_BROKER"};
  }
  if (const auto file = environment("ACHILLES_ACCESS"); !file.empty()) return read_broker(file);
  const auto file = default_access_file();
  if (std::error_code ignored; !file.empty() && std::filesystem::exists(file, ignored)) {
    return read_broker(file);
  }
  return std::nullopt;
}

}  // namespace achilles::client
