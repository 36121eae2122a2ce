"""All or nothing, never too much, everybody served, everything back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dssn_models.nodes.allocation import Allocator


@pytest.mark.req("DCC-11")
def test_crossing_requests_are_served_one_after_the_other():
    a = Allocator({"x": (4, 10), "y": (4, 10)})
    a.request(1, {"x": (4, 1), "y": (4, 1)}, (1,))
    a.request(2, {"y": (4, 1), "x": (4, 1)}, (1,))
    assert a.ready() == [1]
    a.release(1)
    assert a.ready() == [2]
    a.release(2)
    assert a.free("x") == (4, 10)


def test_smaller_key_goes_first():
    a = Allocator({"x": (1, 1)})
    a.request(1, {"x": (1, 0)}, (0,))
    assert a.ready() == [1]
    a.request(2, {"x": (1, 0)}, (5,))
    a.request(3, {"x": (1, 0)}, (2,))
    assert a.ready() == []
    a.release(1)
    assert a.ready() == [3]


def test_small_ones_overtake_a_large_one_only_so_often():
    a = Allocator({"x": (4, 10)}, patience=3)
    a.request(0, {"x": (1, 0)}, (0,))
    assert a.ready() == [0]
    a.request(1, {"x": (4, 0)}, (1,))
    overtook = 0
    for i in range(2, 40):
        a.request(i, {"x": (1, 0)}, (2,))
        granted = a.ready()
        overtook += len(granted)
        for g in granted:
            a.release(g)
        a.ready()
    assert overtook == 3
    a.release(0)
    assert a.ready() == [1]


def test_what_can_never_fit_is_an_error():
    a = Allocator({"x": (4, 10)})
    with pytest.raises(ValueError, match="never fit"):
        a.request(1, {"x": (5, 1)}, (0,))


def test_cancel_makes_room_in_the_queue():
    a = Allocator({"x": (4, 10)}, patience=1)
    a.request(1, {"x": (3, 0)}, (0,))
    a.ready()
    a.request(2, {"x": (4, 0)}, (1,))
    a.request(3, {"x": (1, 0)}, (2,))
    assert a.ready() == [3]
    a.request(4, {"x": (1, 0)}, (3,))
    a.release(3)
    assert a.ready() == []
    a.cancel(2)
    assert a.ready() == [4]


requests = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(0, 4), st.integers(0, 8)), min_size=1),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=60,
)


@pytest.mark.req("DCC-11")
@settings(max_examples=200, derandomize=True, deadline=None)
@given(requests)
def test_never_exceeds_capacity_serves_all_and_gives_all_back(plan):
    caps = {n: (4.0, 8.0) for n in "abcd"}
    a = Allocator(caps, patience=4)
    held, waiting = {}, {}

    def take(granted):
        for g in granted:
            held[g] = waiting.pop(g)
        for n in caps:
            assert sum(h[n][0] for h in held.values() if n in h) <= 4
            assert sum(h[n][1] for h in held.values() if n in h) <= 8

    for i, (needs, key, release) in enumerate(plan):
        waiting[i] = needs
        a.request(i, needs, (key,))
        take(a.ready())
        if release and held:
            first = next(iter(held))
            a.release(first)
            del held[first]
            take(a.ready())
    while held:
        first = next(iter(held))
        a.release(first)
        del held[first]
        take(a.ready())
    assert not waiting
    assert all(a.free(n) == caps[n] for n in caps)
