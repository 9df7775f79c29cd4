#include "protocol/story.hpp"

#include <chrono>
#include <utility>

namespace achilles::protocol {

std::string in_seconds(Duration duration) {
  const auto tenths = duration / std::chrono::milliseconds(100);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

void Story::tell(TimePoint when, std::optional<JobId> job, std::string what) {
  if (lines_.size() == kLinesMax) lines_.pop_front();
  lines_.push_back({when, job, std::move(what)});
}

std::vector<std::string> Story::lines(TimePoint now, std::optional<JobId> job) const {
  std::vector<std::string> told;
  for (const Line& line : lines_) {
    if (job && line.job != job) continue;
    told.push_back(in_seconds(now - line.when) + " ago: " + line.what);
  }
  return told;
}

std::string Story::after(const std::string& sentence, TimePoint now) const {
  std::string text = sentence;
  for (const auto& line : lines(now)) text += "\n  " + line;
  return text;
}

}  // namespace achilles::protocol
