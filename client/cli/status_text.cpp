#include "client/cli/status_text.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cli/printable.hpp"
#include "protocol/ids.hpp"

namespace achilles::cli {
namespace {

/// A job's label may be the whole type of a lambda.
constexpr std::size_t kMaxCellWidth = 48;

/// A cell of a table.
std::string cell(std::string_view text) {
  const std::string shown = printable(shortened(text, kMaxCellWidth));
  return shown.empty() ? "-" : shown;
}

std::string count_of(std::uint64_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

/// The two largest units that say something: "2 h 13 min".
std::string duration_text(std::uint64_t milliseconds) {
  const std::uint64_t seconds = milliseconds / 1000;
  const std::vector<std::pair<std::uint64_t, std::string_view>> units{
      {86400, " d"}, {3600, " h"}, {60, " min"}, {1, " s"}};
  for (std::size_t i = 0; i + 1 < units.size(); ++i) {
    const auto [size, name] = units[i];
    if (seconds < size) continue;
    const auto [part_size, part_name] = units[i + 1];
    return std::to_string(seconds / size) + std::string(name) + " " +
           std::to_string(seconds % size / part_size) + std::string(part_name);
  }
  return std::to_string(seconds) + " s";
}

enum class Align : std::uint8_t { kLeft, kRight };

struct Column {
  std::string title;
  Align align;
};

/// Columns as wide as their widest cell. REQUIRES: each row has a cell for each column.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {
    std::vector<std::string> titles;
    for (const auto& column : columns_) titles.push_back(column.title);
    rows_.push_back(std::move(titles));
  }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const {
    std::vector<std::size_t> widths(columns_.size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], width_of(row[i]));
      }
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string padding(widths[i] - width_of(row[i]), ' ');
        if (i != 0) line += "  ";
        line += columns_[i].align == Align::kLeft ? row[i] + padding : padding + row[i];
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string broker_lines(const protocol::StatusReply& status, const std::string& endpoint) {
  std::uint64_t slots = 0;
  for (const auto& worker : status.workers) slots += worker.slots;
  return "broker " + endpoint + " on " + cell(status.host) + ", pid " + std::to_string(status.pid) +
         ", achilles " + cell(status.library_version) + ", up " + duration_text(status.uptime_ms) +
         "\n" + count_of(status.workers.size(), "worker") + ", " + count_of(slots, "slot") + ", " +
         count_of(status.clients, "client") + ", " + count_of(status.jobs.size(), "job") + ", " +
         count_of(status.rejected_messages, "rejected message") + "\n";
}

std::string worker_table(const std::vector<protocol::WorkerStatus>& workers) {
  Table table({{"WORKER", Align::kLeft},
               {"HOST", Align::kLeft},
               {"PID", Align::kRight},
               {"SLOTS", Align::kRight},
               {"RUNNING", Align::kRight},
               {"DONE", Align::kRight},
               {"CRASHES", Align::kRight},
               {"STATE", Align::kLeft}});
  for (const auto& worker : workers) {
    table.add({cell(worker.name), cell(worker.host), std::to_string(worker.pid),
               std::to_string(worker.slots), std::to_string(worker.running_chunks),
               std::to_string(worker.done_chunks), std::to_string(worker.crashes),
               cell(worker.state)});
  }
  return table.text();
}

std::string job_table(const std::vector<protocol::JobStatus>& jobs) {
  Table table({{"JOB", Align::kLeft},
               {"LABEL", Align::kLeft},
               {"CLIENT", Align::kLeft},
               {"DONE", Align::kRight},
               {"RUNNING", Align::kRight},
               {"QUEUED", Align::kRight},
               {"REQUEUED", Align::kRight}});
  for (const auto& job : jobs) {
    table.add({protocol::to_string(job.job), cell(job.label), cell(job.client),
               std::to_string(job.done_items), std::to_string(job.running_items),
               std::to_string(job.queued_items), std::to_string(job.requeued_chunks)});
  }
  return table.text();
}

}  // namespace

std::string status_table(const protocol::StatusReply& status, const std::string& endpoint) {
  std::string text = broker_lines(status, endpoint);
  if (!status.workers.empty()) text += "\n" + worker_table(status.workers);
  if (!status.jobs.empty()) text += "\n" + job_table(status.jobs);
  return text;
}

std::string status_json(const protocol::StatusReply& status, const std::string& endpoint) {
  using nlohmann::ordered_json;
  ordered_json workers = ordered_json::array();
  for (const auto& worker : status.workers) {
    workers.push_back({{"id", protocol::to_hex(worker.id.value)},
                       {"name", worker.name},
                       {"host", worker.host},
                       {"pid", worker.pid},
                       {"slots", worker.slots},
                       {"running_chunks", worker.running_chunks},
                       {"done_chunks", worker.done_chunks},
                       {"crashes", worker.crashes},
                       {"state", worker.state}});
  }
  ordered_json jobs = ordered_json::array();
  for (const auto& job : status.jobs) {
    jobs.push_back({{"client_id", protocol::to_hex(job.job.client.value)},
                    {"number", job.job.number},
                    {"label", job.label},
                    {"client", job.client},
                    {"done_items", job.done_items},
                    {"running_items", job.running_items},
                    {"queued_items", job.queued_items},
                    {"requeued_chunks", job.requeued_chunks}});
  }
  const ordered_json document{{"broker",
                               {{"endpoint", endpoint},
                                {"boot_id", protocol::to_hex(status.boot.value)},
                                {"host", status.host},
                                {"pid", status.pid},
                                {"version", status.library_version},
                                {"uptime_ms", status.uptime_ms},
                                {"clients", status.clients},
                                {"rejected_messages", status.rejected_messages}}},
                              {"workers", std::move(workers)},
                              {"jobs", std::move(jobs)}};
  // Names come from other machines and need not be UTF-8.
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace achilles::cli
