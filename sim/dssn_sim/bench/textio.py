# mypy: disable-error-code="no-any-return"
"""Flow files read and finish files written in machine code.

Reading 10^5 flows costs 10 ms instead of 400 ms, as much as solving them. Only plain decimals of up to 15
digits are read here, for which one division gives the nearest double (Clinger 1990); :mod:`.flows` reads
everything else slowly and says what is wrong.
"""

from __future__ import annotations

from dssn_sim.dataplane.compiled import inner, jit
from dssn_sim.dataplane.memory import bytes_at, floats_at, ints_at

__all__ = ["format_finish", "parse_flows"]

_DIGITS = 15
_COMMA, _DASH, _DOT, _ZERO, _NEWLINE, _RETURN = 44, 45, 46, 48, 10, 13


@inner
def _number(text: int, at: int, end: int, fraction: bool) -> tuple[float, int]:  # noqa: FBT001
    """Read a plain number at ``at``; return it and where it ended (-1: not plain)."""
    data = bytes_at(text)
    first = at
    value = 0
    scale = 1.0
    digits = 0
    while at < end:
        c = data[at]
        if c == _DOT and fraction:
            fraction = False
            first = at + 1
            scale = 0.1
        elif 0 <= c - _ZERO <= 9:
            value = value * 10 + (c - _ZERO)
            digits += 1
        else:
            break
        at += 1
    if digits == 0 or digits > _DIGITS:
        return 0.0, -1
    if scale < 1.0:
        scale = 1.0
        for _ in range(at - first):
            scale *= 10.0
    return value / scale, at


@jit("int64(int64, int64, int64, int64, int64, int64, int64, int64)")
def parse_flows(
    text: int, end: int, n_links: int, start: int, size: int, cap: int, offset: int, route: int
) -> int:
    """Read lines ``start,size,src,dst,cap,link-link-...`` into columns.

    All arguments but ``end`` (bytes) and ``n_links`` are addresses of arrays with room enough.

    Returns
    -------
    int
        Number of flows; -1 if a line is not plain or names a link that is not there.
    """
    data = bytes_at(text)
    starts, sizes, caps, offsets, links = (
        floats_at(start),
        floats_at(size),
        floats_at(cap),
        ints_at(offset),
        ints_at(route),
    )
    n = 0
    legs = 0
    at = 0
    while at < end:
        for column in range(5):
            x, at = _number(text, at, end, column == 0 or column == 4)
            if at < 0 or at >= end or data[at] != _COMMA:
                return -1
            at += 1
            if column == 0:
                starts[n] = x
            elif column == 1:
                sizes[n] = x
            elif column == 4:
                caps[n] = x
        offsets[n] = legs
        while True:
            x, at = _number(text, at, end, False)
            if at < 0 or x >= n_links:
                return -1
            links[legs] = int(x)
            legs += 1
            if at >= end or data[at] != _DASH:
                break
            at += 1
        if at < end and data[at] == _RETURN:
            at += 1
        if at < end:
            if data[at] != _NEWLINE:
                return -1
            at += 1
        n += 1
    offsets[n] = legs
    return n


@inner
def _put(out: int, at: int, value: int, digits: int) -> int:
    """Write ``value`` with at least so many digits; return where it ended."""
    data = bytes_at(out)
    width = 1
    rest = value // 10
    while rest > 0:
        rest //= 10
        width += 1
    width = max(width, digits)
    for i in range(width):
        data[at + width - 1 - i] = _ZERO + value % 10
        value //= 10
    return at + width


@jit("int64(int64, int64, int64)")
def format_finish(finish: int, n: int, out: int) -> int:
    """Write lines ``id,seconds`` with nine decimals; return the bytes written (-1: a time is 4e6 s or more)."""
    times, data = floats_at(finish), bytes_at(out)
    at = 0
    for i in range(n):
        t = times[i]
        if not 0.0 <= t < 4e6:
            return -1
        nanos = int(t * 1e9 + 0.5)
        at = _put(out, at, i, 1)
        data[at] = _COMMA
        at = _put(out, at + 1, nanos // 1_000_000_000, 1)
        data[at] = _DOT
        at = _put(out, at + 1, nanos % 1_000_000_000, 9)
        data[at] = _NEWLINE
        at += 1
    return at
