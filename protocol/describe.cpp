#include "protocol/describe.hpp"

#include <algorithm>
#include <concepts>
#include <string_view>
#include <type_traits>

#include "protocol/codec.hpp"
#include "protocol/wire.hpp"

namespace achilles::protocol {
namespace {

constexpr std::size_t kShownEntries = 8;
constexpr std::size_t kShownTextBytes = 200;

std::string_view word_for(Role role) {
  switch (role) {
    case Role::kClient:
      return "client";
    case Role::kWorker:
      return "worker";
    case Role::kObserver:
      return "observer";
  }
  return "unknown";
}

std::string_view word_for(RejectReason reason) {
  switch (reason) {
    case RejectReason::kMalformed:
      return "malformed";
    case RejectReason::kWrongVersion:
      return "wrong_version";
    case RejectReason::kUnknownSession:
      return "unknown_session";
    case RejectReason::kOutOfOrder:
      return "out_of_order";
    case RejectReason::kOverLimit:
      return "over_limit";
    case RejectReason::kDuplicateId:
      return "duplicate_id";
  }
  return "unknown";
}

std::string_view word_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUserException:
      return "user_exception";
    case ErrorKind::kInputUndecodable:
      return "input_undecodable";
    case ErrorKind::kResultUnencodable:
      return "result_unencodable";
    case ErrorKind::kTaskCrashed:
      return "task_crashed";
    case ErrorKind::kProgramRefused:
      return "program_refused";
    case ErrorKind::kJobRefused:
      return "job_refused";
  }
  return "unknown";
}

/// Quoted, on one line, whatever a peer put into it.
void say_text(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text.substr(0, kShownTextBytes)) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      line += '?';
    } else {
      line += c;
    }
  }
  if (text.size() > kShownTextBytes) line += "…";
  line += '"';
}

void say_bytes(std::string& line, std::size_t count) {
  line += counted(count, "byte");
}

template <class T>
void say(std::string& line, const T& value);

template <class Elements>
void say_list(std::string& line, const Elements& elements) {
  line += '[';
  const std::size_t shown = std::min(elements.size(), kShownEntries);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) line += ' ';
    say(line, elements[i]);
  }
  if (elements.size() > shown) line += " … " + std::to_string(elements.size() - shown) + " more";
  line += ']';
}

void say_items(std::string& line, const Items& items) {
  line += "{count=" + std::to_string(items.count());
  if (items.layout.uniform()) {
    line += " stride=" + std::to_string(items.layout.stride);
  } else {
    line += " sizes=";
    say_list(line, items.layout.sizes);
  }
  line += ' ';
  say_bytes(line, items.payload.size());
  line += '}';
}

template <class T>
void say_fields(std::string& line, const T& value) {
  bool first = true;
  T::fields(value, [&](std::string_view name, const auto& field) {
    if (!first) line += ' ';
    first = false;
    line += name;
    line += '=';
    using Field = std::decay_t<decltype(field)>;
    if constexpr (std::same_as<Field, std::uint64_t>) {
      // Ids and hashes that travel as numbers: people compare them with the typed ones, in
      // hexadecimal.
      if (name == "id" || name == "table_hash") {
        line += to_hex(field);
        return;
      }
    }
    say(line, field);
  });
}

template <class Element>
void say_one(std::string& line, const std::vector<Element>& elements) {
  say_list(line, elements);
}
template <class T>
void say_one(std::string& line, const std::optional<T>& value) {
  if (value) {
    say(line, *value);
  } else {
    line += '-';
  }
}
template <class Tag>
void say_one(std::string& line, Id<Tag> id) {
  line += to_hex(id.value);
}
void say_one(std::string& line, AttemptId id) {
  line += std::to_string(id.value);
}
void say_one(std::string& line, const JobId& job) {
  line += to_string(job);
}
void say_one(std::string& line, const ProgramId& program) {
  line += to_string(program);
}
void say_one(std::string& line, const FunctionKey& key) {
  line += std::to_string(key.module) + "+" + std::to_string(key.offset);
}
void say_one(std::string& line, const Bytes& bytes) {
  say_bytes(line, bytes.size());
}

template <class T>
void say(std::string& line, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    line += value ? "true" : "false";
  } else if constexpr (std::unsigned_integral<T>) {
    line += std::to_string(value);
  } else if constexpr (std::is_enum_v<T>) {
    line += word_for(value);
  } else if constexpr (std::same_as<T, std::string>) {
    say_text(line, value);
  } else if constexpr (std::same_as<T, Items>) {
    say_items(line, value);
  } else if constexpr (requires { say_one(line, value); }) {
    say_one(line, value);
  } else {
    line += '{';
    say_fields(line, value);
    line += '}';
  }
}

}  // namespace

std::string describe(const Message& message) {
  std::string line(name_of(type_of(message)));
  std::string fields;
  std::visit([&fields](const auto& m) { say_fields(fields, m); }, message);
  if (!fields.empty()) line += ' ';
  return line + fields;
}

}  // namespace achilles::protocol
