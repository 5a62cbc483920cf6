"""Rings: what goes over each edge, to the byte, and the closed forms on a uniform network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.rings import next_one, ring_all_gather, ring_all_reduce, ring_broadcast, rings
from tests.engine.lab import GB
from tests.engine.uniform import leaving, seconds, where

SHAPES = [(1, 2), (1, 8), (2, 4), (4, 2), (3, 1)]
MACHINES = st.lists(st.integers(0, 3), min_size=1, max_size=10)


@given(MACHINES)
def test_every_ring_goes_once_through_all_members_and_enters_each_machine_once(machines: list[int]) -> None:
    for ring in rings(machines):
        assert sorted(ring) == list(range(len(machines)))
        stops = [machines[member] for member in ring]
        changes = sum(a != b for a, b in zip(stops, stops[1:] + stops[:1], strict=True))
        assert changes == (len(set(machines)) if len(set(machines)) > 1 else 0)


def test_each_ring_enters_a_machine_at_another_member() -> None:
    assert rings([0, 0, 0, 1, 1, 1]) == [[0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3], [2, 0, 1, 5, 3, 4]]
    assert len(rings([0, 0, 1])) == 1  # unlike machines share one


@pytest.mark.parametrize(("machines", "gpus"), SHAPES)
def test_all_reduce_takes_2_s_times_n_minus_1_over_n_of_a_port(machines: int, gpus: int) -> None:
    count = machines * gpus
    inside = 2 * 8 * (count - 1) / count * ((gpus - 1) / gpus if machines > 1 else 1)  # over NVLink
    between = 2 * 8 * (count - 1) / count / gpus if machines > 1 else 0  # as many NICs as GPUs
    taken = seconds(ring_all_reduce(where(machines, gpus), 8 * GB), machines, gpus)
    assert taken == pytest.approx(max(inside, between))


@pytest.mark.parametrize("nics", [1, 2, 4])
def test_all_reduce_between_machines_is_bound_by_all_nics_together(nics: int) -> None:
    fast = seconds(ring_all_reduce(where(4, 4), 4 * GB), 4, 4, nics)
    assert fast == pytest.approx(max(2 * 4 * 15 / 16 / nics, 2 * 4 * 15 / 16 * 3 / 4))


@pytest.mark.parametrize(("machines", "gpus"), SHAPES)
def test_all_gather_takes_half_of_all_reduce(machines: int, gpus: int) -> None:
    places = where(machines, gpus)
    gather, reduce = ring_all_gather(places, 8 * GB), ring_all_reduce(places, 8 * GB)
    assert seconds(gather, machines, gpus) == pytest.approx(seconds(reduce, machines, gpus) / 2, abs=1e-6)


@pytest.mark.parametrize(("machines", "gpus"), SHAPES)
@pytest.mark.parametrize("root", [0, 1])
def test_broadcast_takes_s_of_the_port_of_the_root(machines: int, gpus: int, root: int) -> None:
    pairs = ring_broadcast(where(machines, gpus), 8 * GB, root)
    assert seconds(pairs, machines, gpus) == pytest.approx(8, rel=0.51 if machines > 1 else 0)
    received = np.bincount(pairs[1], weights=pairs[2], minlength=machines * gpus)
    assert received.tolist() == [0 if member == root else 8 * GB for member in range(machines * gpus)]


def test_sendrecv_takes_s_of_a_port() -> None:
    assert seconds(next_one([0] * 4, 3 * GB), 1, 4) == 3


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**12))
def test_no_byte_is_lost_by_rounding(machines: int, gpus: int, size: int) -> None:
    count, places = machines * gpus, where(machines, gpus)
    exact = size * (count - 1)  # the sum over all edges of an all-gather
    total = int(ring_all_gather(places, size)[2].sum())
    assert exact <= total < exact + count * gpus + 1
    if machines > 1:
        out = leaving(ring_all_gather(places, size), places)
        assert np.all(out >= size * (count - 1) / count)
        assert np.all(out <= size * (count - 1) / count + gpus)


def test_one_member_or_no_bytes_need_no_flow() -> None:
    for flows in (ring_all_reduce([0], 100), ring_all_reduce([0, 1], 0), ring_broadcast([0], 5, 0)):
        assert len(flows[0]) == len(flows[1]) == len(flows[2]) == 0
