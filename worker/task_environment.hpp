// The environment of a task process: what it is given of its worker's, and what it is told.
//
// Pure: the environment is an argument.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/task_process.hpp"

namespace achilles::worker {

/// `environment` holds "NAME=value" entries, as the answer does. With inherit_environment all of
/// them pass, otherwise those that every program needs: a worker's own settings and secrets are not
/// the business of other people's programs.
std::vector<std::string> task_environment(std::span<const std::string_view> environment,
                                          const TaskOptions& options);

}  // namespace achilles::worker
