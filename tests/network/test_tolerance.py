"""What `tolerance` does to finish times, and that 0 is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.network import Flows, finish_times

World = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def skewed(world: int) -> World:
    """All ordered pairs of GPUs, ports out and in of 25 GB/s, exponential sizes of mean 1 MB."""
    source, target = np.nonzero(~np.eye(world, dtype=bool))
    sizes = np.random.default_rng(7).exponential(1e6, len(source))
    return np.full(2 * world, 25e9), np.stack([2 * source, 2 * target + 1], axis=1), sizes


def test_a_skewed_all_to_all_ends_within_a_percent_of_the_exact_time() -> None:
    capacity, routes, sizes = skewed(64)
    exact = finish_times(capacity, routes, sizes)
    close = finish_times(capacity, routes, sizes, tolerance=2e-3)
    assert close.max() == pytest.approx(exact.max(), rel=0.01)
    assert close.max() != exact.max()
    assert np.mean(np.abs(close - exact) / exact) < 2e-3


def test_it_takes_fewer_visits() -> None:
    visits = []
    for tolerance in (0.0, 2e-3):
        flows = Flows(skewed(32)[0], tolerance=tolerance)
        flows.add(*skewed(32)[1:])
        flows.advance(np.inf)
        visits.append(int(flows._net["visits"][0]))
    assert visits[1] < 0.75 * visits[0]


@st.composite
def crowds(draw: st.DrawFn) -> World:
    """Flows over a few links of like capacities, so many that ends fall close together."""
    count = draw(st.integers(10, 60))
    size, link = st.integers(1, 10**6).map(float), st.integers(0, 2)
    routes = [[draw(link), 3 + draw(link)] for _ in range(count)]
    return (
        np.array([3.0, 4.0, 5.0, 3.0, 4.0, 5.0]),
        np.array(routes),
        np.array([draw(size) for _ in range(count)]),
    )


@settings(max_examples=60, deadline=None)
@given(crowds(), st.sampled_from([1e-3, 1e-2]))
def test_every_byte_is_carried_in_no_less_than_its_time(net: World, tolerance: float) -> None:
    """Links carry their capacity and the tolerance more at most: none is through too early."""
    capacity, routes, sizes = net
    flows = Flows(capacity, tolerance=tolerance)
    flows.add(routes, sizes)
    flows.advance(np.inf)
    assert flows.in_flight == 0
    load = np.bincount(routes.ravel(), weights=np.repeat(sizes, 2), minlength=len(capacity))
    assert flows.carried == pytest.approx(load, rel=1e-12)
    ends = finish_times(capacity, routes, sizes, tolerance=tolerance)
    assert ends.max() >= (load / capacity).max() * (1.0 - tolerance)


@settings(max_examples=60, deadline=None)
@given(crowds())
def test_the_makespan_of_a_crowd_is_within_a_percent(net: World) -> None:
    exact, close = finish_times(*net), finish_times(*net, tolerance=1e-3)
    assert close.max() == pytest.approx(exact.max(), rel=0.01)


def test_a_tolerance_that_is_none_is_refused() -> None:
    for wrong in (-1e-3, 0.5, float("nan")):
        with pytest.raises(InputError, match="tolerance"):
            finish_times([1.0], [[0]], [1.0], tolerance=wrong)


def test_flows_added_on_the_way_get_their_share_at_once() -> None:
    """A settling that waits for ends nearby does not wait when a flow joins."""
    flows = Flows([10.0], tolerance=0.1)
    flows.add([[0], [0], [0]], [10.0, 10.4, 1000.0])
    flows.advance(3.05)
    flows.add([[0]], [1.0])
    group = flows.groups(1)
    flows.add([[0]], [2.0], groups=[group])
    time, ended = flows.advance(100.0)
    assert ended.tolist() == [group]
    assert time == pytest.approx(3.6, rel=0.02)
