#include "tests/sim/program_options.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <sstream>

#include "tests/sim/broker_meter.hpp"

namespace achilles::sim {
namespace {

/// "3" or "1-4". False: it is neither.
bool parse_range(const std::string& text, Range& range) {
  const auto number = [](std::string_view part, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc{} && end == part.data() + part.size();
  };
  const std::string_view all(text);
  const auto dash = all.find('-');
  if (!number(all.substr(0, dash), range.least)) return false;
  range.most = range.least;
  if (dash != std::string_view::npos && !number(all.substr(dash + 1), range.most)) return false;
  return range.least <= range.most;
}

std::string text_of(const Range& range) {
  return std::to_string(range.least) + "-" + std::to_string(range.most);
}

void add_range(CLI::App& app, const std::string& name, Range& range, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&range, name](const std::string& text) {
           if (!parse_range(text, range)) throw CLI::ValidationError(name, "not N, nor N-M.");
         },
         help)
      ->type_name("N-M");
}

/// Nothing goes wrong, all workers are there before the first job, and programs are small.
void make_measurable(Plan& plan) {
  plan.faults = 0;
  plan.duplicate_percent = 0;
  plan.codec_every = UINT64_MAX;  // The meter sees to it.
  plan.check_every = UINT64_MAX;
  for (auto& client : plan.clients) {
    client.starts_after = kFirstJob;
    for (auto& thread : client.threads) {
      for (auto& job : thread) {
        job.program = 1;
        job.pause_percent = 0;
        job.leave_after.reset();
      }
    }
  }
}

/// All that decides what happens, so that it can be said again.
std::string world_text(const ProgramOptions& options) {
  const WorldOptions& world = options.world;
  std::string text;
  const auto add = [&](const char* name, const auto& value) {
    if (value) text += std::string(" ") + name + " " + std::to_string(*value);
  };
  if (options.sized) {
    text += " --workers " + std::to_string(world.workers) + " --chunks " +
            std::to_string(world.chunks) + " --slots " + text_of(world.slots) + " --latency " +
            text_of(world.latency_us);
    add("--clients", world.clients);
    if (world.lasts) text += " --lasts-ms " + std::to_string(*world.lasts / 1ms);
  }
  add("--faults", world.faults);
  if (world.brokers != 1) text += " --brokers " + std::to_string(world.brokers);
  if (world.fault_weights != usual_weights()) {
    text += " --kinds " + to_text(world.fault_weights);
  }
  add("--codec-every", world.codec_every);
  add("--check-every", world.check_every);
  if (options.patience) text += " --patience-ms " + std::to_string(*options.patience / 1ms);
  if (options.measure) text += " --measure";
  return text;
}

}  // namespace

Plan ProgramOptions::plan(std::uint64_t of_seed) const {
  Plan plan = sized ? drawn_world(of_seed, world) : drawn_plan(of_seed);
  if (!sized) {
    plan.fault_weights = world.fault_weights;
    if (world.faults) plan.faults = *world.faults;
    plan.brokers = world.brokers;
    plan.codec_every = world.codec_every.value_or(plan.codec_every);
    plan.check_every = world.check_every.value_or(plan.check_every);
  }
  if (measure) make_measurable(plan);
  plan.patience_said = patience;
  return plan;
}

std::string command_for(const ProgramOptions& options, std::uint64_t seed) {
  return "achilles-sim --seed " + std::to_string(seed) + world_text(options);
}

std::variant<ProgramOptions, Exit> parse_options(int argc, const char* const* argv) {
  ProgramOptions options;
  WorldOptions& world = options.world;
  std::string kinds;
  std::uint64_t lasts_ms = 0;
  std::uint64_t patience_ms = 0;
  CLI::App app(
      "achilles-sim: the real cores of clients, broker and workers under virtual time, with "
      "faults. "
      "Each seed draws a world; the same seed and options give the same run, message by message. "
      "Without --workers and --chunks the worlds are small and their memory is tight.");
  app.name("achilles-sim");
  app.add_option("--seed", options.seed, "The first seed.")->capture_default_str();
  app.add_option("--seeds", options.seeds, "How many seeds, one after another.")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  auto* workers = app.add_option("--workers", world.workers, "Workers of each world.")
                      ->check(CLI::Range(1, 1'000'000));
  auto* chunks = app.add_option("--chunks", world.chunks, "Chunks of all jobs of a world together.")
                     ->check(CLI::Range(1, 100'000'000));
  add_range(app, "--slots", world.slots, "Slots of a worker.");
  app.add_option("--clients", world.clients, "Clients of a world; 1 to 6 otherwise.")
      ->check(CLI::Range(1, 10'000));
  add_range(app, "--latency", world.latency_us, "Of a message, in microseconds.");
  auto* lasts = app.add_option("--lasts-ms", lasts_ms,
                               "How long a world's work takes, evenly shared; drawn otherwise.")
                    ->check(CLI::Range(1, 3'600'000));
  app.add_option("--brokers", world.brokers, "Brokers of each world.")->check(CLI::Range(1, 9));
  app.add_option("--faults", world.faults, "How many faults strike; drawn otherwise.");
  app.add_option("--kinds", kinds,
                 "Kinds of faults and their weights: all, none, cut=3,stall-broker or "
                 "all,crash-client=0.");
  auto* patience =
      app.add_option("--patience-ms", patience_ms,
                     "How long a world's programs may take after its last fault; worked out from "
                     "their work otherwise.")
          ->check(CLI::Range(0, 2'000'000'000));
  app.add_option("--codec-every", world.codec_every,
                 "One message of so many goes through the codec.")
      ->check(CLI::PositiveNumber);
  app.add_option("--check-every", world.check_every,
                 "After one step of so many all tables of the core are checked.")
      ->check(CLI::PositiveNumber);
  app.add_flag(
      "--measure", options.measure,
      "Also measure the broker's time for a chunk, and its memory for a worker and a chunk.");
  app.add_flag("--verbose", options.verbose, "A line for each seed.");
  app.add_flag("--story", options.story, "A line for each message and fault.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& end) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(end, out, err);
    return code == 0 ? Exit{0, out.str()} : Exit{2, "achilles-sim: " + err.str()};
  }
  options.sized = workers->count() + chunks->count() > 0;
  if (lasts->count() > 0) world.lasts = 1ms * static_cast<p::Duration::rep>(lasts_ms);
  if (patience->count() > 0) options.patience = 1ms * static_cast<p::Duration::rep>(patience_ms);
  if (!kinds.empty()) {
    std::string problem;
    const auto weights = weights_from(kinds, problem);
    if (!weights) return Exit{2, "achilles-sim: --kinds: " + problem + "\n"};
    world.fault_weights = *weights;
  }
  return options;
}

}  // namespace achilles::sim
