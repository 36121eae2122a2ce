# mypy: disable-error-code="no-any-return"
"""Channels between nodes and engine images on nodes: opened or pulled when needed, shared, kept for a while."""

from __future__ import annotations

from math import inf

from dssn_sim.compiled.calendar import put
from dssn_sim.compiled.ops_base import (
    CHANNEL,
    DELIVERIES,
    IDLE,
    JOBS,
    MACHINE,
    PULL,
    THREADS,
    TIME,
    T,
    ready,
    wait_until,
)
from dssn_sim.compiled.ops_route import NO_PATH, UNKNOWN, delay_of, find_path
from dssn_sim.compiled.tape import DATA
from dssn_sim.dataplane.compiled import inner

__all__ = [
    "acquire", "drop_channel", "end_pull", "fetch_image", "idle_out", "opened", "pull", "release_channel", "shake", "start_image",
    "stop_waiting_for", "verify_image",
]  # fmt: skip

CHANNELS, BUCKETS, R_CHANNELS, HELD, PLACES, TEMPLATES, SUITES, CACHED, IMAGES, NODES, JOB_DEFS, REGISTRY = (
    T.channels, T.buckets, T.r_channels, T.held, T.places, T.templates, T.suites, T.cached, T.images, T.nodes,
    T.job_defs, T.registry,
)  # fmt: skip

_IMAGE = DATA.index("image")

# What an operation says: go on, go to its other place, wait, ask Python, there is no route.
NEXT, OTHER, WAITS, ASKED, NO_ROUTE = 0, 1, 2, 3, 4


# ------------------------------------------------------------------ channels


@inner
def _bucket(mem: int, a: int, b: int, suite: int) -> int:
    return (a * 1000003 + b * 7919 + suite) % MACHINE(mem)[0].n_buckets


@inner
def _find(mem: int, a: int, b: int, suite: int) -> int:
    """Return the channel of a pair; -1: there is none."""
    channels = CHANNELS(mem)
    c = BUCKETS(mem)[_bucket(mem, a, b, suite)]
    while c >= 0 and not (channels[c].a == a and channels[c].b == b and channels[c].suite == suite):
        c = channels[c].next
    return c


@inner
def _hold(mem: int, t: int, c: int) -> None:
    """Note that a thread's job uses a channel."""
    m, held, job = MACHINE(mem)[0], HELD(mem), JOBS(mem)[THREADS(mem)[t].job]
    i = m.free_held
    if i >= 0:
        m.free_held = held[i].next
    else:
        i = m.top_held
        m.top_held += 1
    held[i].channel = c
    held[i].next = job.held
    job.held = i


@inner
def acquire(mem: int, t: int) -> int:
    """Use the channel between a thread's places: OTHER (it is open), WAITS (it is being opened) or NEXT (open it)."""
    th, channels = THREADS(mem)[t], CHANNELS(mem)
    suite = TEMPLATES(mem)[DELIVERIES(mem)[th.d].template].suite
    if th.sub == 1:  # the channel that it waited for is open, or was given up: then a new one
        th.sub = 0
        if channels[th.at].open:
            _hold(mem, t, th.at)
            return OTHER
        channels[th.at].users -= 1
        _forget(mem, th.at)
    else:
        a, b = min(th.a, th.b), max(th.a, th.b)
        c = _find(mem, a, b, suite)
        if c >= 0:
            channels[c].users += 1
            channels[c].uses += 1
            th.at = c
            if channels[c].ready:
                _hold(mem, t, c)
                return OTHER
            th.sub = 1
            th.wait = CHANNEL
            th.next = -1
            if channels[c].waiter >= 0:
                THREADS(mem)[channels[c].last].next = t
            else:
                channels[c].waiter = t
            channels[c].last = t
            return WAITS
    _open(mem, t, suite)
    return NEXT


@inner
def _open(mem: int, t: int, suite: int) -> None:
    """Begin a new channel between a thread's places."""
    m, th, channels = MACHINE(mem)[0], THREADS(mem)[t], CHANNELS(mem)
    a, b = min(th.a, th.b), max(th.a, th.b)
    c = m.free_channels
    if c >= 0:
        m.free_channels = channels[c].next
    else:
        c = m.top_channels
        m.top_channels += 1
    row = channels[c]
    row.a = a
    row.b = b
    row.suite = suite
    row.opened_s = m.now
    row.setup_s = 0.0
    row.uses = 1
    row.users = 1
    row.waiter = -1
    row.timers = 0
    row.armed_s = 0.0
    row.open = 1
    row.ready = 0
    row.detail = DELIVERIES(mem)[th.d].detail
    other = _find(mem, a, b, suite)
    if other >= 0:  # several waited for one that was given up: the last one opened is known
        _unlist(mem, other)
    k = _bucket(mem, a, b, suite)
    row.next = BUCKETS(mem)[k]
    BUCKETS(mem)[k] = c
    row.listed = 1
    m.open += 1
    th.path = c  # a call needs ``at``
    th.owns = 2


@inner
def _unlist(mem: int, c: int) -> None:
    """Take a channel out of the table of open ones."""
    channels, buckets = CHANNELS(mem), BUCKETS(mem)
    row = channels[c]
    if not row.listed:
        return
    row.listed = 0
    k = _bucket(mem, row.a, row.b, row.suite)
    MACHINE(mem)[0].open -= 1
    if buckets[k] == c:
        buckets[k] = row.next
        return
    i = buckets[k]
    while channels[i].next != c:
        i = channels[i].next
    channels[i].next = row.next


@inner
def _forget(mem: int, c: int) -> None:
    """Give a closed channel's row back once nobody refers to it."""
    m, row = MACHINE(mem)[0], CHANNELS(mem)[c]
    if not row.open and row.users == 0 and row.timers == 0:
        row.next = m.free_channels
        m.free_channels = c


@inner
def close_channel(mem: int, c: int) -> None:
    """Close a channel and record it; its row stays while somebody refers to it."""
    m, channel = MACHINE(mem)[0], CHANNELS(mem)[c]
    _unlist(mem, c)
    channel.open = 0
    if channel.detail:
        row = R_CHANNELS(mem)[m.n_r_channels]
        m.n_r_channels += 1
        row.opened_s = channel.opened_s
        row.closed_s = m.now
        row.setup_s = channel.setup_s
        row.a = channel.a
        row.b = channel.b
        row.suite = channel.suite
        row.uses = channel.uses
    _forget(mem, c)


@inner
def release_channel(mem: int, c: int, keep_open_s: float) -> None:
    """Stop using a channel; without a user it closes after ``keep_open_s``."""
    m, row = MACHINE(mem)[0], CHANNELS(mem)[c]
    row.users -= 1
    if row.users > 0:
        return
    if not row.open:
        _forget(mem, c)
    elif keep_open_s <= 0.0:
        close_channel(mem, c)
    else:
        row.close_s = m.now + keep_open_s
        if row.timers == 0 or row.close_s < row.armed_s:
            row.timers += 1
            row.armed_s = row.close_s
            put(mem, row.close_s, IDLE, c)


@inner
def idle_out(mem: int, c: int) -> None:
    """Close a channel that has had no user for long enough, else look again when it will have."""
    m, row = MACHINE(mem)[0], CHANNELS(mem)[c]
    row.timers -= 1
    row.armed_s = inf  # others may still come; when is not known
    if row.open and row.users == 0:
        if m.now >= row.close_s:
            close_channel(mem, c)
            return
        elif row.timers == 0 or row.close_s < row.armed_s:
            row.timers += 1
            row.armed_s = row.close_s
            put(mem, row.close_s, IDLE, c)
    _forget(mem, c)


@inner
def shake(mem: int, t: int) -> int:
    """Wait for the handshake of a new channel: WAITS, ASKED or NO_ROUTE."""
    m, th, places = MACHINE(mem)[0], THREADS(mem)[t], PLACES(mem)
    d = DELIVERIES(mem)[th.d]
    path = find_path(mem, 0, th.a, th.b)
    if path == UNKNOWN:
        return ASKED
    if path == NO_PATH:
        return NO_ROUTE
    suite = SUITES(mem)[TEMPLATES(mem)[d.template].suite]
    d.control_bytes += suite.shake_bytes
    # TCP's own round trip comes before those of TLS.
    seconds = (suite.rounds + 1.0) * 2.0 * delay_of(mem, path, th.a, th.b)
    seconds += suite.client / places[th.a].speed + suite.server / places[th.b].speed
    wait_until(mem, t, m.now + seconds, TIME)
    return WAITS


@inner
def stop_waiting_for(mem: int, t: int) -> None:
    """Take a thread out of the list of those that wait for an image or a channel."""
    threads = THREADS(mem)
    th = threads[t]
    pulls = th.wait == PULL
    first = CACHED(mem)[_entry(mem, t)].waiter if pulls else CHANNELS(mem)[th.at].waiter
    before = -1
    i = first
    while i != t:
        before = i
        i = threads[i].next
    if before >= 0:
        threads[before].next = th.next
    else:
        first = th.next
    if pulls:
        row = CACHED(mem)[_entry(mem, t)]
        row.waiter = first
        if row.last == t:
            row.last = before
    else:
        channel = CHANNELS(mem)[th.at]
        channel.waiter = first
        if channel.last == t:
            channel.last = before
        release_channel(mem, th.at, 0.0)


@inner
def _wake_waiters(mem: int, first: int) -> None:
    t = first
    while t >= 0:
        after = THREADS(mem)[t].next
        ready(mem, t)
        t = after


@inner
def opened(mem: int, t: int) -> None:
    """End the handshake: those who wait for the channel go on."""
    m, row = MACHINE(mem)[0], CHANNELS(mem)[THREADS(mem)[t].path]
    row.setup_s = m.now - row.opened_s
    row.ready = 1
    THREADS(mem)[t].owns = 0
    _hold(mem, t, THREADS(mem)[t].path)
    _wake_waiters(mem, row.waiter)
    row.waiter = -1


@inner
def drop_channel(mem: int, c: int) -> None:
    """Give up a channel whose handshake did not come to its end."""
    row = CHANNELS(mem)[c]
    _unlist(mem, c)
    row.open = 0
    row.ready = 1
    row.users -= 1
    _wake_waiters(mem, row.waiter)
    row.waiter = -1
    _forget(mem, c)


# ------------------------------------------------------------------ images


@inner
def _entry(mem: int, t: int) -> int:
    """Return the row of the cache for a thread's node and its job's image."""
    th = THREADS(mem)[t]
    return th.a * MACHINE(mem)[0].n_images + JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].image


@inner
def pull(mem: int, t: int) -> int:
    """Look for the image on the node: OTHER (it is here), WAITS (somebody pulls it) or NEXT (pull it)."""
    th, row = THREADS(mem)[t], CACHED(mem)[_entry(mem, t)]
    if row.pulling:
        th.wait = PULL
        th.next = -1
        if row.waiter >= 0:
            THREADS(mem)[row.last].next = t
        else:
            row.waiter = t
        row.last = t
        return WAITS
    node = NODES(mem)[th.a]
    if row.held:
        node.clock += 1
        row.used = node.clock
        node.warm += 1
        return OTHER
    row.pulling = 1
    th.owns = 1
    return NEXT


@inner
def fetch_image(mem: int, t: int) -> bool:
    """Set a thread up to move the image from the registry; False: there is nothing to move."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    size = IMAGES(mem)[JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].image].bytes
    source = REGISTRY(mem)[PLACES(mem)[th.a].site]
    if source < 0 or size <= 0.0:
        return False
    th.b = th.a
    th.a = source
    th.data = _IMAGE
    th.payload = size
    th.left = size
    th.wire = 0.0
    th.ideal_s = 0.0
    th.waited_s = 0.0
    th.start_s = m.now
    return True


@inner
def end_pull(mem: int, t: int, keep: bool) -> None:  # noqa: FBT001
    """End a pull (``keep``: the image is there); those who wait for it look again."""
    th = THREADS(mem)[t]
    row = CACHED(mem)[_entry(mem, t)]
    if keep:
        _put_image(mem, th.a, JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].image)
        NODES(mem)[th.a].cold += 1
    th.owns = 0
    row.pulling = 0
    _wake_waiters(mem, row.waiter)
    row.waiter = -1


@inner
def _put_image(mem: int, place: int, image: int) -> None:
    """Keep an image on a node; those not used for longest make room (as ``nodes.images.ImageCache``)."""
    m, cached, node = MACHINE(mem)[0], CACHED(mem), NODES(mem)[place]
    first, size, room = place * m.n_images, IMAGES(mem)[image].bytes, PLACES(mem)[place].cache
    if cached[first + image].held or size > room:
        return
    used = 0.0
    for k in range(m.n_images):
        if cached[first + k].held:
            used += cached[first + k].bytes
    while used + size > room:
        oldest = -1
        for k in range(m.n_images):
            if cached[first + k].held and (
                oldest < 0 or cached[first + k].used < cached[first + oldest].used
            ):
                oldest = k
        if oldest < 0:
            break
        cached[first + oldest].held = 0
        used -= cached[first + oldest].bytes
    node.clock += 1
    row = cached[first + image]
    row.held = 1
    row.bytes = size
    row.used = node.clock


@inner
def verify_image(mem: int, t: int) -> bool:
    """Check the hash of a pulled image; False: that takes no time."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    image = IMAGES(mem)[JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].image]
    if image.verify_s_per_byte <= 0.0:
        return False
    wait_until(mem, t, m.now + image.bytes * image.verify_s_per_byte / PLACES(mem)[th.a].speed, TIME)
    return True


@inner
def start_image(mem: int, t: int) -> bool:
    """Start the engine on the node; False: that takes no time."""
    m, th = MACHINE(mem)[0], THREADS(mem)[t]
    start_s = IMAGES(mem)[JOB_DEFS(mem)[JOBS(mem)[th.job].job_def].image].start_s
    if start_s <= 0.0:
        return False
    wait_until(mem, t, m.now + start_s / PLACES(mem)[th.a].speed, TIME)
    return True
