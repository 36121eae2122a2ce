# mypy: disable-error-code="no-any-return"
"""Cores and memory on several nodes, all or nothing: ``dssn_models.nodes.allocation`` in compiled code.

The same rules in the same order: waiting requests go by rank, a later one that fits may pass (back-fill), and one
that was passed ``max_bypass`` times is guarded. A request is a row with a list of needs, one for each node; the first
``window`` to ``2 window`` requests of a node stand in ``near``, the rest in a pairing heap of their needs.
"""

from __future__ import annotations

from dssn_sim.compiled.ops_base import MACHINE, T, ready
from dssn_sim.dataplane.compiled import inner, jit

__all__ = ["add_need", "add_request", "give_back", "request", "touch"]

NODES, REQUESTS, NEEDS, NEAR, GUARDS, DIRTY, SCRATCH = (
    T.nodes, T.requests, T.needs, T.near, T.guards, T.dirty, T.scratch,
)  # fmt: skip

WAITING, GRANTED, GONE = 0, 1, 2


@inner
def touch(mem: int, place: int) -> None:
    """Bring the time integrals of a node up to now."""
    m, node = MACHINE(mem)[0], NODES(mem)[place]
    dt = m.now - node.changed_s
    if dt > 0.0:
        node.held_integral += node.held_cores * dt
        node.queue_integral += node.queue * dt
        node.changed_s = m.now


@inner
def add_request(mem: int, t: int, key0: float, key1: float, key2: float) -> int:
    """Return a new request of a thread, without needs."""
    m, requests = MACHINE(mem)[0], REQUESTS(mem)
    r = m.free_requests
    if r >= 0:
        m.free_requests = requests[r].next
    else:
        r = m.top_requests
        m.top_requests += 1
    m.arrivals += 1
    row = requests[r]
    row.key0 = key0
    row.key1 = key1
    row.key2 = key2
    row.rank = m.arrivals
    row.bypassed = 0
    row.guarded = 0
    row.stamp = 0
    row.state = WAITING
    row.need = -1
    row.thread = t
    return r


@inner
def add_need(mem: int, r: int, place: int) -> int:
    """Return the need of a request of a node, a new one with nothing in it at first."""
    m, needs, row = MACHINE(mem)[0], NEEDS(mem), REQUESTS(mem)[r]
    i = row.need
    last = -1
    while i >= 0:
        if needs[i].place == place:
            return i
        last = i
        i = needs[i].next
    i = m.free_needs
    if i >= 0:
        m.free_needs = needs[i].next
    else:
        i = m.top_needs
        m.top_needs += 1
    needs[i].place = place
    needs[i].request = r
    needs[i].cores_f = 0.0
    needs[i].memory_f = 0.0
    needs[i].next = -1
    if last >= 0:
        needs[last].next = i
    else:
        row.need = i
    return i


@inner
def _before(mem: int, r: int, s: int) -> bool:
    a, b = REQUESTS(mem)[r], REQUESTS(mem)[s]
    if a.key0 != b.key0:
        return a.key0 < b.key0
    if a.key1 != b.key1:
        return a.key1 < b.key1
    if a.key2 != b.key2:
        return a.key2 < b.key2
    return a.rank < b.rank


# ------------------------------------------------------------------ the queue of a node


@inner
def _meld(mem: int, i: int, j: int) -> int:
    needs = NEEDS(mem)
    if i < 0:
        return j
    if j < 0:
        return i
    if _before(mem, needs[j].request, needs[i].request):
        i, j = j, i
    needs[j].prev = i
    needs[j].sister = needs[i].child
    if needs[i].child >= 0:
        needs[needs[i].child].prev = j
    needs[i].child = j
    return i


@inner
def _far_out(mem: int, place: int, i: int) -> None:
    """Take a need out of the heap of its node."""
    needs, node = NEEDS(mem), NODES(mem)[place]
    root = -1
    child = needs[i].child
    while child >= 0:
        after = needs[child].sister
        needs[child].sister = -1
        needs[child].prev = -1
        root = _meld(mem, root, child)
        child = after
    if node.far == i:
        node.far = root
        return
    p, after = needs[i].prev, needs[i].sister
    if needs[p].child == i:
        needs[p].child = after
    else:
        needs[p].sister = after
    if after >= 0:
        needs[after].prev = p
    node.far = _meld(mem, node.far, root)


@inner
def _insert(mem: int, table: int, at: int, n: int, r: int) -> None:
    """Put a request into a sorted list of n (table 0: near, 1: guards)."""
    rows = NEAR(mem) if table == 0 else GUARDS(mem)
    k = n
    while k > 0 and _before(mem, r, rows[at + k - 1]):
        rows[at + k] = rows[at + k - 1]
        k -= 1
    rows[at + k] = r


@inner
def _delete(mem: int, table: int, at: int, n: int, r: int) -> bool:
    rows = NEAR(mem) if table == 0 else GUARDS(mem)
    for k in range(n):
        if rows[at + k] == r:
            for j in range(k + 1, n):
                rows[at + j - 1] = rows[at + j]
            return True
    return False


@inner
def _need_of(mem: int, r: int, place: int) -> int:
    needs = NEEDS(mem)
    i = REQUESTS(mem)[r].need
    while needs[i].place != place:
        i = needs[i].next
    return i


@inner
def _to_far(mem: int, i: int) -> None:
    needs = NEEDS(mem)
    needs[i].child = -1
    needs[i].sister = -1
    needs[i].prev = -1
    node = NODES(mem)[needs[i].place]
    node.far = _meld(mem, node.far, i)


@inner
def _enter(mem: int, i: int) -> None:
    """Put a need into the queue of its node."""
    m, need = MACHINE(mem)[0], NEEDS(mem)[i]
    node, near = NODES(mem)[need.place], NEAR(mem)
    at = need.place * (2 * m.window + 2)
    if node.far >= 0 and _before(mem, near[at + node.near - 1], need.request):
        _to_far(mem, i)
        return
    _insert(mem, 0, at, node.near, need.request)
    node.near += 1
    if node.near > 2 * m.window:
        node.near -= 1
        last = near[at + node.near]
        _to_far(mem, _need_of(mem, last, need.place))


@inner
def _mark(mem: int, place: int) -> None:
    m, node = MACHINE(mem)[0], NODES(mem)[place]
    if not node.dirty:
        node.dirty = 1
        DIRTY(mem)[m.n_dirty] = place
        m.n_dirty += 1


@inner
def _guard(mem: int, r: int) -> None:
    m, needs = MACHINE(mem)[0], NEEDS(mem)
    i = REQUESTS(mem)[r].need
    while i >= 0:
        if NODES(mem)[needs[i].place].guards == m.n_guards:
            return  # no room: it stays as it is, and is guarded when it is passed again
        i = needs[i].next
    REQUESTS(mem)[r].guarded = 1
    i = REQUESTS(mem)[r].need
    while i >= 0:
        node = NODES(mem)[needs[i].place]
        _insert(mem, 1, needs[i].place * m.n_guards, node.guards, r)
        node.guards += 1
        i = needs[i].next


@inner
def _leave(mem: int, r: int, state: int) -> None:
    """Take a request out of the queues; what stood behind it may now be possible."""
    m, needs, row = MACHINE(mem)[0], NEEDS(mem), REQUESTS(mem)[r]
    row.state = state
    i = row.need
    while i >= 0:
        place = needs[i].place
        node = NODES(mem)[place]
        at = place * (2 * m.window + 2)
        # Behind a full window there may be requests that have never been looked at.
        unseen = node.near > m.window or node.far >= 0
        if _delete(mem, 0, at, node.near, r):
            node.near -= 1
        else:
            _far_out(mem, place, i)
        if row.guarded:
            _delete(mem, 1, place * m.n_guards, node.guards, r)
            node.guards -= 1
        while node.far >= 0 and node.near < m.window:
            first = node.far
            _far_out(mem, place, first)
            NEAR(mem)[at + node.near] = needs[first].request
            node.near += 1
        if row.guarded or unseen:
            _mark(mem, place)
        i = needs[i].next


# ------------------------------------------------------------------ granting


@inner
def _stuck(mem: int, r: int) -> bool:
    """Return whether a node is now too small for the request even when empty."""
    needs = NEEDS(mem)
    i = REQUESTS(mem)[r].need
    while i >= 0:
        node = NODES(mem)[needs[i].place]
        if needs[i].cores > node.total_cores or needs[i].memory > node.total_memory:
            return True
        i = needs[i].next
    return False


@inner
def _may_go(mem: int, r: int) -> bool:
    m, needs = MACHINE(mem)[0], NEEDS(mem)
    i = REQUESTS(mem)[r].need
    while i >= 0:
        node = NODES(mem)[needs[i].place]
        if needs[i].cores > node.free_cores or needs[i].memory > node.free_memory:
            return False
        i = needs[i].next
    i = REQUESTS(mem)[r].need
    while i >= 0:
        place = needs[i].place
        for k in range(NODES(mem)[place].guards):
            guard = GUARDS(mem)[place * m.n_guards + k]
            if guard == r or not _before(mem, guard, r):
                break
            if not _stuck(mem, guard):
                return False
        i = needs[i].next
    return True


@inner
def _grant(mem: int, r: int) -> None:
    m, needs = MACHINE(mem)[0], NEEDS(mem)
    i = REQUESTS(mem)[r].need
    m.stamp += 1
    while i >= 0:
        need = needs[i]
        node = NODES(mem)[need.place]
        node.free_cores -= need.cores
        node.free_memory -= need.memory
        touch(mem, need.place)
        node.queue -= 1
        node.held_cores += need.cores_f
        node.held_memory += need.memory_f
        node.peak_memory = max(node.peak_memory, node.held_memory)
        i = need.next
    # The heads of the queues that it passes, each counted once.
    i = REQUESTS(mem)[r].need
    while i >= 0:
        head = NEAR(mem)[needs[i].place * (2 * m.window + 2)]
        row = REQUESTS(mem)[head]
        if row.stamp != m.stamp and _before(mem, head, r):
            row.stamp = m.stamp
            row.bypassed += 1
            if row.bypassed >= m.max_bypass and not row.guarded and not _stuck(mem, head):
                _guard(mem, head)
        i = needs[i].next
    _leave(mem, r, GRANTED)
    ready(mem, REQUESTS(mem)[r].thread)


@inner
def _look(mem: int, new: int) -> None:
    """Grant what can be granted now."""
    m, needs, requests, found = MACHINE(mem)[0], NEEDS(mem), REQUESTS(mem), SCRATCH(mem)
    while new >= 0 or m.n_dirty > 0:
        m.stamp += 1
        n = 0
        if new >= 0:
            found[0] = new
            requests[new].stamp = m.stamp
            n = 1
            new = -1
        for k in range(m.n_dirty):
            place = DIRTY(mem)[k]
            node = NODES(mem)[place]
            node.dirty = 0
            at = place * (2 * m.window + 2)
            for j in range(min(node.near, m.window)):
                r = NEAR(mem)[at + j]
                if requests[r].stamp == m.stamp:
                    continue
                i = _need_of(mem, r, place)
                if needs[i].cores <= node.free_cores and needs[i].memory <= node.free_memory:
                    requests[r].stamp = m.stamp
                    k2 = n
                    while k2 > 0 and _before(mem, r, found[k2 - 1]):
                        found[k2] = found[k2 - 1]
                        k2 -= 1
                    found[k2] = r
                    n += 1
        m.n_dirty = 0
        for k in range(n):
            if requests[found[k]].state == WAITING and _may_go(mem, found[k]):
                _grant(mem, found[k])


@jit("void(int64, int64)")
def request(mem: int, r: int) -> None:
    """Queue a request whose needs are set, and grant what can be granted."""
    needs = NEEDS(mem)
    i = REQUESTS(mem)[r].need
    while i >= 0:
        touch(mem, needs[i].place)
        NODES(mem)[needs[i].place].queue += 1
        _enter(mem, i)
        i = needs[i].next
    _look(mem, r)


@jit("void(int64, int64)")
def give_back(mem: int, r: int) -> None:
    """Release a granted request or withdraw a waiting one (-1: only look what can be granted)."""
    m, needs = MACHINE(mem)[0], NEEDS(mem)
    if r >= 0:
        row = REQUESTS(mem)[r]
        granted = row.state == GRANTED
        if not granted:
            _leave(mem, r, GONE)
        i = row.need
        while i >= 0:
            need = needs[i]
            node = NODES(mem)[need.place]
            touch(mem, need.place)
            if granted:
                node.free_cores += need.cores
                node.free_memory += need.memory
                node.held_cores -= need.cores_f
                node.held_memory -= need.memory_f
                _mark(mem, need.place)
            else:
                node.queue -= 1
            after = need.next
            need.next = m.free_needs
            m.free_needs = i
            i = after
        row.state = GONE
        row.next = m.free_requests
        m.free_requests = r
    _look(mem, -1)
