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

std::string Story::tail(TimePoint now, std::optional<JobId> job) const {
  constexpr std::size_t kLines = 5;
  constexpr std::size_t kLineBytesMax = 160;
  std::vector<const Line*> last;
  for (auto line = lines_.rbegin(); line != lines_.rend() && last.size() < kLines; ++line) {
    if (!job || !line->job || line->job == job) last.push_back(&*line);
  }
  std::string text;
  for (auto line = last.rbegin(); line != last.rend(); ++line) {
    text += text.empty() ? " (what came before: " : "; ";
    text += in_seconds(now - (*line)->when) + " ago: ";
    const std::string& what = (*line)->what;
    text += what.size() <= kLineBytesMax ? what : what.substr(0, kLineBytesMax) + "…";
  }
  return text.empty() ? text : text + ")";
}

}  // namespace achilles::protocol
