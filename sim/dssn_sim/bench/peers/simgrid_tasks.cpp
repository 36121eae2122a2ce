// Workload W2 in SimGrid (S4U), 3.32 or 4.x: servers are long-lived actors that take jobs from a queue.
//   simgrid_tasks TASKS SOJOURNS SERVERS...
// TASKS: native doubles: jobs, arrivals, then the service times of each station. SOJOURNS: native doubles.
#include <simgrid/s4u.hpp>
#include <simgrid/version.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

namespace sg = simgrid::s4u;

int main(int argc, char** argv)
{
  sg::Engine engine(&argc, argv);
  const size_t stations = argc - 3;
  FILE* in = fopen(argv[1], "rb");
  double count;
  if (in == nullptr || fread(&count, 8, 1, in) != 1)
    return 1;
  const size_t jobs = (size_t)count;
  std::vector<double> arrival(jobs), sojourn(jobs);
  std::vector<std::vector<double>> service(stations, std::vector<double>(jobs));
  size_t got = fread(arrival.data(), 8, jobs, in);
  for (auto& column : service)
    got += fread(column.data(), 8, jobs, in);
  if (fclose(in) != 0 || got != jobs * (stations + 1))
    return 1;
#if SIMGRID_VERSION >= 40000
  auto* host = engine.get_netzone_root()->add_host("h", 1e9);
#else
  auto* zone = sg::create_full_zone("z");
  auto* host = zone->create_host("h", 1e9);
  zone->seal();
#endif
  auto actor = [&](const char* name, auto body) {
#if SIMGRID_VERSION >= 40000
    return host->add_actor(name, body);
#else
    return sg::Actor::create(name, host, body);
#endif
  };
  std::vector<std::deque<size_t>> queue(stations);
  std::vector<sg::SemaphorePtr> waiting;
  std::vector<size_t> next(stations, 0);
  for (size_t s = 0; s < stations; s++)
    waiting.push_back(sg::Semaphore::create(0));
  auto done = sg::Semaphore::create(0);
  for (size_t s = 0; s < stations; s++)
    for (int server = 0; server < atoi(argv[3 + s]); server++)
      actor("server", [&, s]() {
        while (true) {
          waiting[s]->acquire();
          const size_t job = queue[s].front();
          queue[s].pop_front();
          sg::this_actor::sleep_for(service[s][next[s]++]);
          if (s + 1 < stations) {
            queue[s + 1].push_back(job);
            waiting[s + 1]->release();
          } else {
            sojourn[job] = sg::Engine::get_clock() - arrival[job];
            done->release();
          }
        }
      })->daemonize();
  actor("source", [&]() {
    for (size_t job = 0; job < jobs; job++) {
      sg::this_actor::sleep_until(arrival[job]);
      queue[0].push_back(job);
      waiting[0]->release();
    }
    for (size_t job = 0; job < jobs; job++)
      done->acquire();
  });
  engine.run();
  FILE* out = fopen(argv[2], "wb");
  if (out == nullptr || fwrite(sojourn.data(), 8, jobs, out) != jobs)
    return 1;
  return fclose(out);
}
