#include "tests/support/cluster_news.hpp"

#include <nlohmann/json.hpp>

#include "tests/support/process.hpp"

namespace achilles::tests {
namespace {

WorkerNews worker_news(const nlohmann::json& json) {
  return {json.at("name"),           json.at("host"),        json.at("pid"),     json.at("slots"),
          json.at("running_chunks"), json.at("done_chunks"), json.at("crashes"), json.at("state")};
}

JobNews job_news(const nlohmann::json& json) {
  return {json.at("label"),         json.at("client"),       json.at("done_items"),
          json.at("running_items"), json.at("queued_items"), json.at("requeued_chunks")};
}

}  // namespace

std::optional<ClusterNews> ask_cluster(const std::string& endpoint) {
  Process command(ACHILLES_CLI_PROGRAM,
                  {.arguments = {"status", "--json", "--broker", endpoint, "--timeout", "30"}});
  if (command.wait() != kSucceeded) return std::nullopt;
  const auto json = nlohmann::json::parse(command.out());
  const auto& broker = json.at("broker");
  ClusterNews news;
  news.endpoint = broker.at("endpoint");
  news.pid = broker.at("pid");
  news.clients = broker.at("clients");
  news.rejected_messages = broker.at("rejected_messages");
  for (const auto& worker : json.at("workers")) news.workers.push_back(worker_news(worker));
  for (const auto& job : json.at("jobs")) news.jobs.push_back(job_news(job));
  return news;
}

}  // namespace achilles::tests
