#include "client/cli/why_text.hpp"

#include <nlohmann/json.hpp>

#include "client/cli/printable.hpp"

namespace achilles::cli {

std::string why_text(const protocol::WhyReply& why) {
  std::string text = "job " + printable(why.job) + "\n";
  for (const auto& reason : why.reasons) text += "  " + printable(reason) + "\n";
  if (!why.story.empty()) text += "what happened to it:\n";
  for (const auto& line : why.story) text += "  " + printable(line) + "\n";
  return text;
}

std::string why_json(const protocol::WhyReply& why) {
  const nlohmann::ordered_json object = {
      {"job", why.job}, {"reasons", why.reasons}, {"story", why.story}};
  return object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace achilles::cli
