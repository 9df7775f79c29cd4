#include "tests/chaos/accounts.hpp"

#include <cstring>
#include <sstream>
#include <unordered_map>

#include "tests/chaos/watch.hpp"
#include "tests/chaos/workload.hpp"

namespace achilles::tests {
namespace {

/// By job, then by item.
using Counts = std::unordered_map<std::uint32_t, std::unordered_map<std::uint64_t, std::uint64_t>>;

Counts read_executions(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  Counts counts;
  for (std::size_t at = 0; at + sizeof(Execution) <= bytes.size(); at += sizeof(Execution)) {
    Execution record;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    if (record.check != ~record.job) throw Failure(path.string() + " is damaged");
    ++counts[record.job][record.index];
  }
  return counts;
}

void read_client(const std::filesystem::path& work, const ClientLife& life, Accounts& accounts) {
  Counts counts = read_executions(work / (life.tag + ".executions"));
  for (const auto& [job, items] : counts) {
    accounts.executed += items.size();
    for (const auto& [index, count] : items) {
      accounts.executions += count;
      accounts.executions_max = std::max(accounts.executions_max, count);
    }
  }
  std::istringstream lines(read_file(work / (life.tag + ".said")));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::uint32_t job = 0;
    words >> word >> job;
    if (word == "ended") {
      std::uint64_t items = 0;
      words >> items;
      ++accounts.jobs;
      accounts.delivered += items;
      if (counts[job].size() < items) {
        throw Failure("job " + std::to_string(job) + " of " + life.tag + " delivered " +
                      std::to_string(items) + " items, but only " +
                      std::to_string(counts[job].size()) + " were executed");
      }
    } else if (word == "crashed") {
      std::uint64_t index = 0;
      std::uint64_t attempts = 0;
      words >> index >> attempts;
      ++accounts.crashed;
      const bool deadly = nature_of(life.seed, job, Mixture::kDeadly, index).fate == Fate::kDies;
      // One that is killed from outside may be so before it could note its execution.
      accounts.innocent += deadly ? 0 : 1;
      if (deadly && counts[job][index] < attempts) {
        throw Failure("item " + std::to_string(index) + " of job " + std::to_string(job) + " of " +
                      life.tag + " crashed after " + std::to_string(attempts) +
                      " attempts, but was executed " + std::to_string(counts[job][index]) +
                      " times");
      }
    }
  }
}

}  // namespace

double Accounts::executions_mean() const {
  return executed == 0 ? 0 : static_cast<double>(executions) / static_cast<double>(executed);
}

Accounts read_accounts(const std::filesystem::path& work, const std::vector<ClientLife>& lives) {
  Accounts accounts;
  for (const auto& life : lives) read_client(work, life, accounts);
  return accounts;
}

std::uint64_t progress_of(const std::filesystem::path& work, const std::string& tag) {
  const std::string text = read_file(work / (tag + ".said"));
  const std::string kWord = "progress ";
  const auto at = text.rfind(kWord);
  // A line that is being written may lack its end.
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + kWord.size(), nullptr, 10);
}

}  // namespace achilles::tests
