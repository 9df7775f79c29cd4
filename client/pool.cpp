#include "achilles/pool.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "client/configuration.hpp"
#include "client/embedded_cluster.hpp"
#include "client/engine.hpp"
#include "client/host_name.hpp"
#include "client/own_program.hpp"
#include "client/remote_cluster.hpp"
#include "protocol/transport/clock.hpp"
#include "protocol/transport/endpoint.hpp"
#include "worker/slots.hpp"

namespace achilles {
namespace {

void require_main_entered() {
  if (host::process_state() != host::ProcessState::kStarting) return;
  throw Error(
      "achilles: a Pool was made before main began, or main is not diverted: link the program "
      "through "
      "achilles::achilles or the flags of achilles.pc (-Wl,--wrap=main), or call "
      "achilles::init(argc, argv) "
      "first in main");
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  if (getrandom(&id, sizeof id, 0) != sizeof id) {
    throw Error("achilles cannot get random bytes from the system");
  }
  return id | 1;  // Never 0, which means nobody.
}

client::SessionOptions session_options(const PoolOptions& options, const std::string& program) {
  client::SessionOptions session;
  session.id = {random_id()};
  session.name = program;
  session.host = client::host_name();
  session.pid = static_cast<std::uint32_t>(getpid());
  session.connect_timeout = options.connect_timeout;
  session.result_bytes_max = options.result_bytes_max;
  return session;
}

/// Ends with its last Pool and range, but never in a forked child.
std::shared_ptr<detail::Engine> owned(std::unique_ptr<detail::Engine> engine) {
  return {engine.release(), [](detail::Engine* last) {
            if (last->in_own_process()) delete last;
          }};
}

std::shared_ptr<detail::Engine> make_engine(const PoolOptions& options) {
  require_main_entered();
  if (options.result_bytes_max == 0 || options.connect_timeout.count() < 0) {
    throw Error(
        "achilles: PoolOptions need a result_bytes_max above zero and no negative connect_timeout");
  }
  const auto program = client::OwnProgram::get();
  const auto broker = client::find_broker(options);
  auto session = session_options(options, program->name());
  if (!broker) {
    const auto slots = options.slots != 0 ? options.slots : worker::usable_cores();
    auto cluster = std::make_unique<client::EmbeddedCluster>(slots, program, protocol::now());
    return owned(std::make_unique<detail::Engine>(options, session, std::move(cluster),
                                                  protocol::ProgramId{}));
  }
  client::require_system_libraries_only();
  try {
    std::vector<std::string> endpoints;
    for (const auto& endpoint : protocol::parse_peer_endpoints(broker->endpoints)) {
      endpoints.push_back(protocol::to_string(endpoint));
    }
    session.brokers = endpoints.size();
    auto cluster = std::make_unique<client::RemoteCluster>(std::move(endpoints), program);
    return owned(
        std::make_unique<detail::Engine>(options, session, std::move(cluster), program->id()));
  } catch (const std::invalid_argument& error) {
    throw Error("achilles cannot use the broker's address in " + broker->source + ": " +
                error.what());
  }
}

}  // namespace

Pool::Pool() : Pool(PoolOptions{}) {}
Pool::Pool(PoolOptions options) : engine_(make_engine(options)) {}

Pool Pool::local(std::uint32_t slots) {
  PoolOptions options;
  options.slots = slots != 0 ? slots : worker::usable_cores();
  return Pool(options);
}

Pool Pool::connect(std::string broker) {
  if (broker.empty())
    throw Error("achilles: Pool::connect needs an address such as tcp://node7:5555");
  PoolOptions options;
  options.broker = std::move(broker);
  return Pool(options);
}

ConfiguredPool Pool::with(CallOptions options) const {
  return {Pool(engine_), options};
}
void Pool::close() {
  if (engine_ && engine_->in_own_process()) engine_->close();
}
std::vector<int> Pool::task_pids() const {
  if (!engine_) return {};
  engine_->require_own_process();
  return engine_->task_pids();
}

}  // namespace achilles
