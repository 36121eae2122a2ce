"""Two heaps over flat arrays: a pairing heap (any number in one array) and an indexed binary heap.

The pairing heap (Fredman et al. 1986) inserts and melds in O(1) and removes any element in
O(log n) amortised, so no entry ever goes stale. The indexed heap changes keys in place.
"""

from __future__ import annotations

from typing import Any

from dssn_sim.dataplane.compiled import inner

__all__ = ["bh_fix", "bh_push", "bh_remove", "ph_insert", "ph_remove"]


@inner
def _meld(h: Any, a: int, b: int) -> int:
    if a < 0:
        return b
    if b < 0:
        return a
    if h[b].key < h[a].key:
        a, b = b, a
    c = h[a].child
    h[b].prev = a
    h[b].next = c
    if c >= 0:
        h[c].prev = b
    h[a].child = b
    return a


@inner
def ph_insert(h: Any, root: int, i: int, key: float) -> int:
    """Insert row ``i``; return the new root."""
    h[i].key = key
    h[i].child = -1
    h[i].next = -1
    h[i].prev = -1
    return _meld(h, root, i)


@inner
def _merge_pairs(h: Any, first: int) -> int:
    a = first
    stack = -1
    while a >= 0:
        b = h[a].next
        after = -1
        if b >= 0:
            after = h[b].next
            h[b].next = -1
            h[b].prev = -1
        h[a].next = -1
        h[a].prev = -1
        m = _meld(h, a, b)
        h[m].next = stack
        stack = m
        a = after
    root = -1
    while stack >= 0:
        after = h[stack].next
        h[stack].next = -1
        root = _meld(h, root, stack)
        stack = after
    return root


@inner
def ph_remove(h: Any, root: int, i: int) -> int:
    """Remove row ``i`` from the heap of ``root``; return the new root."""
    sub = _merge_pairs(h, h[i].child)
    h[i].child = -1
    if i == root:
        return sub
    p = h[i].prev
    n = h[i].next
    if h[p].child == i:
        h[p].child = n
    else:
        h[p].next = n
    if n >= 0:
        h[n].prev = p
    h[i].next = -1
    h[i].prev = -1
    return _meld(h, root, sub)


@inner
def _up(heap: Any, key: Any, pos: Any, i: int) -> None:
    x = heap[i]
    k = key[x]
    while i > 0:
        j = (i - 1) >> 1
        y = heap[j]
        if key[y] <= k:
            break
        heap[i] = y
        pos[y] = i
        i = j
    heap[i] = x
    pos[x] = i


@inner
def _down(heap: Any, key: Any, pos: Any, n: int, i: int) -> None:
    x = heap[i]
    k = key[x]
    while True:
        j = 2 * i + 1
        if j >= n:
            break
        if j + 1 < n and key[heap[j + 1]] < key[heap[j]]:
            j += 1
        y = heap[j]
        if key[y] >= k:
            break
        heap[i] = y
        pos[y] = i
        i = j
    heap[i] = x
    pos[x] = i


@inner
def bh_push(heap: Any, key: Any, pos: Any, n: int, x: int) -> int:
    """Insert ``x`` (its key is set); return the new size."""
    heap[n] = x
    pos[x] = n
    _up(heap, key, pos, n)
    return n + 1


@inner
def bh_fix(heap: Any, key: Any, pos: Any, n: int, x: int) -> None:
    """Restore order after the key of ``x`` changed."""
    i = pos[x]
    if i > 0 and key[heap[(i - 1) >> 1]] > key[x]:
        _up(heap, key, pos, i)
    else:
        _down(heap, key, pos, n, i)


@inner
def bh_remove(heap: Any, key: Any, pos: Any, n: int, x: int) -> int:
    """Remove ``x``; return the new size."""
    i = pos[x]
    pos[x] = -1
    n -= 1
    if i < n:
        y = heap[n]
        heap[i] = y
        pos[y] = i
        bh_fix(heap, key, pos, n, y)
    return n
