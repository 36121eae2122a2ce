"""Networks of stations, slowly and plainly: every event looks at everything. What the compiled loop must equal."""

import math


def run_slowly(stations, arrivals, routes, services, classes, changes):
    """Return when each job leaves (nan: lost; inf: never).

    routes, services: lists by job; changes: (time, station, servers at work).
    """
    n = len(stations)
    up = [s.servers for s in stations]
    waiting = [[[] for _ in range(10)] for _ in range(n)]  # [station][class]: jobs in order of service
    serving = [[] for _ in range(n)]  # [station]: (begin, job) in order of begin
    left = {}
    step = [0] * len(arrivals)
    departure = [math.inf] * len(arrivals)

    def rank(s, job):
        return classes[job] if stations[s].discipline == "priority" else 0

    def begin(s, job, now):
        serving[s].append((now, job))

    def interrupt(s, now, resumes):
        victim = max(range(len(serving[s])), key=lambda i: (rank(s, serving[s][i][1]), i))
        began, job = serving[s].pop(victim)
        if resumes:
            left[job] -= now - began
        waiting[s][rank(s, job)].insert(0, job)

    def fill(s, now):
        for queue in waiting[s]:
            while queue and len(serving[s]) < up[s]:
                begin(s, queue.pop(0), now)

    def go(job, now):
        if step[job] == len(routes[job]):
            departure[job] = now
            return
        s = routes[job][step[job]]
        left[job] = services[job][step[job]]
        step[job] += 1
        st = stations[s]
        if len(serving[s]) < up[s]:
            begin(s, job, now)
        elif st.limit is not None and sum(map(len, waiting[s])) >= st.limit:
            departure[job] = math.nan
        elif st.preemptive and serving[s] and max(rank(s, j) for _, j in serving[s]) > rank(s, job):
            interrupt(s, now, True)
            begin(s, job, now)
        elif st.discipline == "lifo":
            waiting[s][0].insert(0, job)
        else:
            waiting[s][rank(s, job)].append(job)

    coming = list(enumerate(arrivals))
    changes = list(changes)
    while True:
        ends = [(began + left[job], s, i) for s in range(n) for i, (began, job) in enumerate(serving[s])]
        end = min(ends, default=(math.inf, 0, 0))
        change_s = changes[0][0] if changes else math.inf
        arrival_s = coming[0][1] if coming else math.inf
        now = min(end[0], change_s, arrival_s)
        if now == math.inf:
            return departure
        if end[0] == now:
            job = serving[end[1]].pop(end[2])[1]
            fill(end[1], now)
            go(job, now)
        elif change_s == now:
            _, s, up[s] = changes.pop(0)
            while len(serving[s]) > up[s]:
                interrupt(s, now, stations[s].resumes)
            fill(s, now)
        else:
            go(coming.pop(0)[0], now)
