"""All-reduce in two levels, with rings or the switch inside: what leaves each machine, to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.hierarchical import hierarchical_all_reduce
from janus_sim.engine.rings import ring_all_reduce
from tests.engine.lab import GB
from tests.engine.uniform import leaving, seconds, where

SIZES = st.integers(0, 10**12)


@given(st.integers(1, 6), st.integers(1, 8), SIZES)
def test_2_s_times_n_minus_1_over_n_leave_each_of_n_machines(machines: int, gpus: int, size: int) -> None:
    out = leaving(hierarchical_all_reduce(where(machines, gpus), size), where(machines, gpus))
    assert np.all(out >= 2 * size * (machines - 1) / machines)
    assert np.all(out < 2 * size * (machines - 1) / machines + gpus)  # rounded up in each ring


@given(st.integers(2, 8), SIZES)
def test_in_one_machine_each_sends_to_the_next(gpus: int, size: int) -> None:
    source, target, sizes = hierarchical_all_reduce([0] * gpus, size)
    assert np.array_equal(target, (source + 1) % gpus)
    assert set(sizes.tolist()) <= {-(-2 * size * (gpus - 1) // gpus)}


def test_members_spread_unevenly_form_one_ring_that_enters_each_machine_once() -> None:
    source, target, sizes = hierarchical_all_reduce([0, 1, 0, 1, 1], 10)
    assert source.tolist() == [0, 2, 1, 3, 4]
    assert target.tolist() == [2, 1, 3, 4, 0]
    assert sizes.tolist() == [16] * 5


@pytest.mark.parametrize(("machines", "gpus"), [(1, 8), (2, 4), (4, 2)])
def test_it_takes_as_long_as_its_slower_level(machines: int, gpus: int) -> None:
    taken = seconds(hierarchical_all_reduce(where(machines, gpus), 8 * GB), machines, gpus)
    inside = 2 * 8 * (gpus - 1) / gpus
    between = 2 * 8 / gpus * (machines - 1) / machines
    assert taken == pytest.approx(max(inside, between))


@pytest.mark.parametrize("gpus", [4, 8, 16])
def test_the_switch_moves_s_times_m_plus_1_over_m(gpus: int) -> None:
    taken = seconds(hierarchical_all_reduce([0] * gpus, GB, in_switch=True), 1, gpus)
    assert taken == pytest.approx((gpus + 1) / gpus)
    bus = 2 * (gpus - 1) / gpus / taken  # GB/s
    assert bus == pytest.approx(2 * (gpus - 1) / (gpus + 1))


@pytest.mark.parametrize("gpus", [2, 3])
def test_the_switch_is_no_gain_for_few(gpus: int) -> None:
    in_switch = hierarchical_all_reduce([0] * gpus, 12, in_switch=True)
    assert in_switch[2].tolist() == ring_all_reduce([0] * gpus, 12)[2].tolist()


def test_between_machines_the_switch_changes_nothing() -> None:
    places = where(4, 8)
    inside, switch = (
        leaving(hierarchical_all_reduce(places, GB, in_switch=way), places) for way in (False, True)
    )
    assert inside.tolist() == switch.tolist()
