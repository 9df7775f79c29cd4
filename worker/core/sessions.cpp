// What goes on across sessions: all that is here stays when one ends, and the next one begins with
// a list of it.
#include <string>
#include <utility>
#include <vector>

#include "protocol/mutant.hpp"
#include "worker/core/agent_state.hpp"

namespace achilles::worker {

using protocol::mutant;
using protocol::Mutant;

void Agent::State::end_session(Turn& turn) {
  choice.stays();
  outgoing.clear();
  while (Attempt* attempt = sent.chain().front()) {
    sent.take(*attempt);
    held.put(*attempt);
  }
  for (auto& [id, job] : jobs.all()) {
    for (Attempt* a = job.attempts.front(); a != nullptr; a = JobChain::after(*a)) {
      if (mutant(Mutant::kGrantsOutliveSession)) break;
      a->assignment.result_allowance = 0;
      if (a->place == Attempt::Place::kQueued) {
        job.program->queue.take_grant_back(*a);
      } else {
        a->granted = false;
      }
    }
  }
  close_empty_jobs(turn);
  for (auto next = programs.all().begin(); next != programs.all().end();) {
    Program& program = (next++)->second;
    program.early_deaths = 0;
    program.fetches = 0;
    // Parts under way are lost with the session; a refusal was told to the broker that is gone.
    const bool anew =
        program.stage == Program::Stage::kFetching || program.stage == Program::Stage::kRefused;
    if (anew) program.stage = Program::Stage::kUnknown;
    programs.forget_if_unused(program);
  }
}

void Agent::State::close_empty_jobs(Turn& turn) {
  std::vector<protocol::JobId> empty;
  for (const auto& [id, job] : jobs.all()) {
    if (job.attempts.empty()) empty.push_back(id);
  }
  for (const auto& id : empty) on_close_job(turn, id);
}

void Agent::State::send_holding(Turn& turn) {
  protocol::Holding holding;
  if (mutant(Mutant::kHoldingNotTold)) return send(turn, std::move(holding));
  for (const auto& [id, job] : jobs.all()) {
    for (const Attempt* a = job.attempts.front(); a != nullptr; a = JobChain::after(*a)) {
      if (holding.attempts.size() == kHoldingMax) {
        holding.last = false;
        send(turn, std::exchange(holding, {}));
      }
      holding.attempts.push_back(
          {id, a->id(), a->assignment.chunk.first, a->items, a->result ? a->result_cost : 0});
    }
  }
  send(turn, std::move(holding));
}

void Agent::State::lose_session(Turn& turn) {
  if (draining) return leave(turn, {});
  end_session(turn);
  note(turn, Note::Level::kInfo,
       "The broker no longer knows this worker (was it started again?). Saying HELLO anew.");
  link.say_hello(turn.now, turn.out);
}

void Agent::State::on_broker_there(Turn& turn, std::size_t broker) {
  if (draining || !link.in_session() || !choice.answered(broker)) return;
  lose_connection(turn, "A broker that is named earlier answers again.", Then::kStay);
}

void Agent::State::lose_connection(Turn& turn, const std::string& reason, Then then) {
  if (draining) return leave(turn, {});
  if (then == Then::kElsewhere) link.in_session() ? choice.lost() : choice.unanswered();
  end_session(turn);
  link.close();
  if (reason != last_warning) {
    last_warning = reason;
    note(turn, Note::Level::kWarning, reason + " Connecting again.");
  }
  turn.out.push_back(Reconnect{reason, choice.current()});
}

}  // namespace achilles::worker
