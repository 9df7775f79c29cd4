#include "achilles/error.hpp"

#include "protocol/limits.hpp"

namespace achilles {
namespace {

std::string where(const RemoteError::Details& d) {
  std::string text = " (";
  if (!d.worker.empty()) text += "worker " + d.worker + ", ";
  if (!d.host.empty()) text += "host " + d.host + ", ";
  text += "pid " + std::to_string(d.pid) + ")";
  return text;
}

std::string causes_text(const RemoteError::Details& d) {
  std::string text;
  for (const auto& cause : d.causes) {
    text += text.empty() ? "" : "; caused by ";
    text += cause.type + ": " + cause.what;
  }
  return text.empty() ? "no more is known" : text;
}

std::string describe(const RemoteError::Details& d) {
  const std::string item = "item " + std::to_string(d.index) + " of job " + d.job;
  switch (d.kind) {
    case RemoteError::Kind::kException:
      return item + " failed: " + causes_text(d) + where(d);
    case RemoteError::Kind::kInputUndecodable:
      return item + " could not be decoded for " + d.function + ": " + causes_text(d) + where(d);
    case RemoteError::Kind::kResultUnencodable:
      return "the result of " + item + " could not be encoded: " + causes_text(d) + where(d);
    case RemoteError::Kind::kTaskCrashed:
      break;
  }
  std::string text = item + " was given up: the task process died on it " +
                     std::to_string(d.attempts) + (d.attempts == 1 ? " time" : " times") +
                     ", last with " + d.ending + where(d);
  for (std::size_t i = 0; i + 1 < d.deaths.size(); ++i) {
    text += (i == 0 ? "; before: " : "; ") + d.deaths[i];
  }
  if (!d.stderr_tail.empty()) text += "; it last wrote: " + d.stderr_tail;
  return text + "; run the function on this item alone under a debugger";
}

const std::string& empty() {
  static const std::string text;
  return text;
}

}  // namespace

RemoteError::RemoteError(Details details)
    : Error(describe(details)), details_(std::make_shared<const Details>(std::move(details))) {}

ItemTooLarge::ItemTooLarge(std::uint64_t index, std::uint64_t bytes, std::uint64_t bytes_max)
    : Error("achilles: item " + std::to_string(index) + " takes " + std::to_string(bytes) +
            " bytes, at most " + std::to_string(bytes_max) +
            " can be sent; cut it into smaller items, or let the tasks read the data themselves" +
            (bytes_max < protocol::kMaxPayloadBytes
                 ? ", or start the broker with a larger --max-payload-mib"
                 : "")),
      index_(index),
      bytes_(bytes),
      bytes_max_(bytes_max) {}

const std::string& RemoteError::type_name() const noexcept {
  return details_->causes.empty() ? empty() : details_->causes.front().type;
}

const std::string& RemoteError::message() const noexcept {
  return details_->causes.empty() ? empty() : details_->causes.front().what;
}

}  // namespace achilles
