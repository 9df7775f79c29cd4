// Gearman: gearmand hands jobs to workers that ask for them.
//
// Over TCP on loopback; gearmand, client and workers are processes, written with libgearman. Its
// client runs batches of jobs, each to its end.
#include <arpa/inet.h>
#include <libgearman/gearman.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "bench/compare/peer.hpp"
#include "bench/stopwatch.hpp"

namespace achilles::bench {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kFunction = "answer";
constexpr double kStartSeconds = 20;

/// A port that was free just now.
in_port_t free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, kHost, &address.sin_addr);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  expect(::bind(listener, any, size) == 0 && ::getsockname(listener, any, &size) == 0, "a port");
  ::close(listener);
  return ntohs(address.sin_port);
}

void run_daemon(in_port_t port) {
  const std::string listen = std::string("--listen=") + kHost;
  const std::string at = "--port=" + std::to_string(port);
  ::execl("/usr/sbin/gearmand", "gearmand", listen.c_str(), at.c_str(), "--log-file=none", nullptr);
}

void* run_job(gearman_job_st* job, void*, std::size_t* size, gearman_return_t* outcome) {
  const auto* bytes = static_cast<const std::byte*>(gearman_job_workload(job));
  *size = gearman_job_workload_size(job);
  // libgearman frees it.
  auto* result = static_cast<std::byte*>(std::malloc(*size));
  answer({bytes, *size}, result);
  *outcome = GEARMAN_SUCCESS;
  return result;
}

void run_worker(in_port_t port) {
  gearman_worker_st* worker = gearman_worker_create(nullptr);
  gearman_worker_add_server(worker, kHost, port);
  gearman_worker_add_function(worker, kFunction, 0, &run_job, nullptr);
  while (true) gearman_worker_work(worker);
}

class Gearman final : public Peer {
 public:
  explicit Gearman(std::size_t slots) {
    const in_port_t port = free_port();
    children_.start([&] { run_daemon(port); });
    client_ = gearman_client_create(nullptr);
    expect(client_ != nullptr && gearman_client_add_server(client_, kHost, port) == GEARMAN_SUCCESS,
           "a client of gearmand");
    wait_for_daemon();
    for (std::size_t i = 0; i < slots; ++i) {
      children_.start([&] { run_worker(port); });
    }
    gearman_client_set_complete_fn(client_, [](gearman_task_st* task) {
      const auto* check = static_cast<const Check*>(gearman_task_context(task));
      (*check)(
          {static_cast<const std::byte*>(gearman_task_data(task)), gearman_task_data_size(task)});
      return GEARMAN_SUCCESS;
    });
    gearman_client_add_options(client_, GEARMAN_CLIENT_FREE_TASKS);
  }
  ~Gearman() override { gearman_client_free(client_); }

  std::uint64_t tiny_tasks() const override { return 60'000; }

  void run(std::uint64_t count, std::uint64_t in_flight, const Make& make,
           const Check& check) override {
    std::vector<std::vector<std::byte>> tasks(in_flight);
    for (std::uint64_t next = 0; next < count;) {
      for (auto& bytes : tasks) {
        if (next == count) break;
        const Task task = make(next++);
        bytes.assign(task.begin(), task.end());
        gearman_return_t outcome = GEARMAN_SUCCESS;
        gearman_client_add_task(client_, nullptr, const_cast<Check*>(&check), kFunction, nullptr,
                                bytes.data(), bytes.size(), &outcome);
        expect(outcome == GEARMAN_SUCCESS, gearman_client_error(client_));
      }
      expect(gearman_client_run_tasks(client_) == GEARMAN_SUCCESS, gearman_client_error(client_));
    }
  }

 private:
  void wait_for_daemon() {
    const Stopwatch watch;
    const std::string text = "here";
    while (gearman_client_echo(client_, text.data(), text.size()) != GEARMAN_SUCCESS) {
      expect(watch.seconds() < kStartSeconds, gearman_client_error(client_));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  Children children_;
  gearman_client_st* client_ = nullptr;
};

}  // namespace

std::unique_ptr<Peer> start_peer(std::size_t slots) {
  return std::make_unique<Gearman>(slots);
}

}  // namespace achilles::bench
