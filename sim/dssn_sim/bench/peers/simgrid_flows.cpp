// Workload W1 in SimGrid (S4U), 3.32 or 4.x: every flow is a communication over a fixed route.
//   simgrid_flows plain|capped NETWORK FLOWS FINISH [--cfg=...]      simgrid_flows release: print SimGrid's version
// NETWORK: "nodes links", then "cap_bps lat_s" a link. FLOWS, FINISH: as in dssn_sim/bench/flows.py.
//
// Links get latency 0 and a flow starts later by the latency of its route. SimGrid weighs flows by 1/latency as
// soon as a route has one, whatever its settings; only so are its shares plain max-min.
// plain: host to host. capped: actors over mailboxes, since a rate set on host-to-host communications is ignored.
#include <simgrid/s4u.hpp>
#include <simgrid/version.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sg = simgrid::s4u;
#define VERSION_4 (SIMGRID_VERSION >= 40000)

struct Flow {
  size_t id;
  double start, size, cap;
  int src, dst;
};

int main(int argc, char** argv)
{
  if (argc == 2 && std::string(argv[1]) == "release")
    return printf("%d.%d\n", SIMGRID_VERSION_MAJOR, SIMGRID_VERSION_MINOR) < 0;
  sg::Engine engine(&argc, argv);
  const bool capped = std::string(argv[1]) == "capped";
#if VERSION_4
  sg::Engine::set_config("network/model:raw");
  auto* zone = engine.get_netzone_root()->add_netzone_full("wan");
#else
  for (const char* plain : {"network/model:CM02", "network/TCP-gamma:0", "network/crosstraffic:0",
                            "network/latency-factor:1", "network/bandwidth-factor:1", "network/weight-S:0"})
    sg::Engine::set_config(plain);
  auto* zone = sg::create_full_zone("wan");
#endif
  int nodes, links;
  std::ifstream network(argv[2]);
  network >> nodes >> links;
  std::vector<sg::Host*> hosts;
  std::vector<const sg::Link*> link;
  std::vector<double> latency(links);
  for (int i = 0; i < nodes; i++)
#if VERSION_4
    hosts.push_back(zone->add_host("n" + std::to_string(i), 1e9));
#else
    hosts.push_back(zone->create_host("n" + std::to_string(i), 1e9));
#endif
  for (int i = 0; i < links; i++) {
    double cap;
    network >> cap >> latency[i];
#if VERSION_4
    link.push_back(zone->add_link("l" + std::to_string(i), cap / 8)->set_latency(0)->seal());
#else
    link.push_back(zone->create_link("l" + std::to_string(i), cap / 8)->set_latency(0)->seal());
#endif
  }
  std::vector<Flow> flows;
  std::set<std::pair<int, int>> routed;
  std::ifstream file(argv[3]);
  for (std::string line; std::getline(file, line);) {
    Flow f;
    char* p = &line[0];
    f.id = flows.size();
    f.start = strtod(p, &p), p++;
    f.size = strtod(p, &p), p++;
    f.src = (int)strtol(p, &p, 10), p++;
    f.dst = (int)strtol(p, &p, 10), p++;
    f.cap = strtod(p, &p);
    std::vector<sg::LinkInRoute> route;
    do {
      const long k = strtol(p + 1, &p, 10);
      route.emplace_back(link[k]);
      f.start += latency[k];
    } while (*p == '-');
    if (routed.insert({f.src, f.dst}).second)
#if VERSION_4
      zone->add_route(hosts[f.src], hosts[f.dst], route, false);
#else
      zone->add_route(hosts[f.src]->get_netpoint(), hosts[f.dst]->get_netpoint(), nullptr, nullptr, route, false);
#endif
    flows.push_back(f);
  }
  zone->seal();
  std::stable_sort(flows.begin(), flows.end(), [](const Flow& a, const Flow& b) { return a.start < b.start; });

  std::vector<double> finish(flows.size(), -1);
  auto actor = [&](sg::Host* host, const char* name, auto body) {
#if VERSION_4
    host->add_actor(name, body);
#else
    sg::Actor::create(name, host, body);
#endif
  };
  auto begin = [&](const Flow& f) {
    if (f.start > sg::Engine::get_clock())
      sg::this_actor::sleep_until(f.start);
  };
  auto end = [&](const Flow& f, sg::CommPtr& comm) {
    comm->wait();
    finish[f.id] = comm->get_finish_time();
    comm.reset();
  };
  static char nothing;
  std::vector<std::vector<size_t>> from(nodes), to(nodes);
  std::vector<std::vector<void*>> received(nodes);
  std::vector<sg::CommPtr> comms(flows.size());
  if (not capped) {
    actor(hosts[0], "dispatcher", [&]() {
      for (size_t i = 0; i < flows.size(); i++) {
        begin(flows[i]);
        comms[i] = sg::Comm::sendto_async(hosts[flows[i].src], hosts[flows[i].dst], (uint64_t)flows[i].size);
      }
      for (size_t i = 0; i < flows.size(); i++)
        end(flows[i], comms[i]);
    });
  } else {
    for (size_t i = 0; i < flows.size(); i++)
      from[flows[i].src].push_back(i), to[flows[i].dst].push_back(i);
    for (int h = 0; h < nodes; h++) {
      received[h].resize(to[h].size());
      if (not to[h].empty())
        actor(hosts[h], "receiver", [&, h]() {
          std::vector<sg::CommPtr> awaited;
          for (size_t k = 0; k < to[h].size(); k++)
            awaited.push_back(sg::Mailbox::by_name(std::to_string(to[h][k]))->get_async<void>(&received[h][k]));
          for (auto& comm : awaited)
            comm->wait();
        });
      if (not from[h].empty())
        actor(hosts[h], "sender", [&, h]() {
          for (size_t i : from[h]) {
            begin(flows[i]);
            comms[i] = sg::Mailbox::by_name(std::to_string(i))->put_init(&nothing, (uint64_t)flows[i].size);
            if (flows[i].cap > 0)
              comms[i]->set_rate(flows[i].cap / 8);
            comms[i]->start();
          }
          for (size_t i : from[h])
            end(flows[i], comms[i]);
        });
    }
  }
  engine.run();
  FILE* out = fopen(argv[4], "w");
  if (out == nullptr)
    return 1;
  for (size_t i = 0; i < finish.size(); i++)
    fprintf(out, "%zu,%.9f\n", i, finish[i]);
  return fclose(out);
}
