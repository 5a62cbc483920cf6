"""Capacities that change in time, against the twin in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.network import Flows
from tests.twins import maxmin_fractions as twin

WILD = [0.01, 1.0, 12.0, 7e8, 3e15]


@st.composite
def changing(draw: st.DrawFn) -> dict[str, Any]:
    """Networks whose links change, even to 0, and in the end get a capacity that lets all flows finish."""
    links, count = draw(st.integers(1, 4)), draw(st.integers(1, 14))
    values = st.sampled_from(WILD if draw(st.booleans()) else [3.0, 6.0, 12.0])
    routes = st.lists(st.integers(0, links - 1), min_size=1, max_size=3, unique=True)
    changes = [
        (draw(st.integers(1, 8)) / 8, draw(st.integers(0, links - 1)), draw(st.one_of(st.just(0.0), values)))
        for _ in range(draw(st.integers(0, 4)))
    ]
    return {
        "capacity": [draw(values) for _ in range(links)],
        "routes": [draw(routes) for _ in range(count)],
        "sizes": [float(draw(st.integers(0, 10**6))) for _ in range(count)],
        "starts": [draw(st.sampled_from([0.0, 0.0, 0.5])) for _ in range(count)],
        "rate_cap": [draw(st.sampled_from([np.inf, 0.01, 3.0])) for _ in range(count)],
        "priority": [draw(st.integers(0, 1)) for _ in range(count)],
        "changes": sorted(changes) + [(2.0, link, draw(values)) for link in range(links)],
    }


def run(net: dict[str, Any]) -> tuple[list[float], Flows]:
    """When each flow ends, by groups of one flow each."""
    flows, count = Flows(net["capacity"], bins=4), len(net["sizes"])
    first, ends = flows.groups(count), {}
    hops = max(len(route) for route in net["routes"])
    flows.add(
        [route + [-1] * (hops - len(route)) for route in net["routes"]],
        net["sizes"],
        **{key: net[key] for key in ("starts", "rate_cap", "priority")},
        groups=first + np.arange(count),
    )
    for time, link, value in [*net["changes"], (np.inf, None, None)]:
        ended = None
        while ended is None or len(ended):
            now, ended = flows.advance(time)
            ends.update(dict.fromkeys((ended - first).tolist(), now))
        if link is not None:
            flows.set_capacity(link, value)
    return [ends[flow] for flow in range(count)], flows


@settings(max_examples=150)
@given(changing())
def test_links_that_change_give_the_times_of_the_twin(net: dict[str, Any]) -> None:
    found, flows = run(net)
    expected = twin.finish_times(
        [Fraction(value) for value in net["capacity"]],
        net["routes"],
        [Fraction(value) for value in net["sizes"]],
        [Fraction(value) for value in net["starts"]],
        [Fraction(1)] * len(found),
        [None if value == np.inf else Fraction(value) for value in net["rate_cap"]],
        net["priority"],
        [(Fraction(time), link, Fraction(value)) for time, link, value in net["changes"]],
        Fraction(1, 10**12),
    )
    assert found == pytest.approx([float(value) for value in expected if value is not None], rel=1e-9)
    assert flows.in_flight == 0
    carried = np.zeros(len(net["capacity"]))
    for route, size in zip(net["routes"], net["sizes"], strict=True):
        carried[route] += size
    assert flows.carried.tolist() == carried.tolist()


def test_a_link_that_shrinks_by_seventeen_digits_still_shares_fairly() -> None:
    """Two flows are held by their caps, two by the link: after the change all four have a quarter of it."""
    flows = Flows([3e15])
    flows.add([[0]] * 4, [1e16, 1e16, 1.0, 1.0], rate_cap=[np.inf, np.inf, 0.01, 0.01])
    flows.advance(1.0)
    flows.set_capacity(0, 0.01)
    flows.advance(2.0)
    assert flows.carried[0] == pytest.approx(3e15, rel=1e-12)
    assert flows.next_end() == pytest.approx(1.0 + 0.99 / 0.0025, rel=1e-9)
