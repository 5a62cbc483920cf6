"""Ring all-reduce: what leaves each member and each machine, to the byte."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.rings import ring_all_reduce

SIZES = st.integers(0, 10**12)


@given(st.integers(1, 6), st.integers(1, 8), SIZES)
def test_2_s_times_n_minus_1_over_n_leave_each_of_n_machines(machines: int, gpus: int, size: int) -> None:
    where = np.repeat(np.arange(machines), gpus)
    source, target, sizes = ring_all_reduce(where.tolist(), size)
    leaving = np.zeros(machines, dtype=np.int64)
    far = where[source] != where[target]
    np.add.at(leaving, where[source[far]], sizes[far])
    assert np.all(leaving >= 2 * size * (machines - 1) / machines)
    assert np.all(leaving < 2 * size * (machines - 1) / machines + gpus)  # rounded up in each ring


@given(st.integers(2, 8), SIZES)
def test_in_one_machine_each_sends_to_the_next(gpus: int, size: int) -> None:
    source, target, sizes = ring_all_reduce([0] * gpus, size)
    assert np.array_equal(target, (source + 1) % gpus)
    assert set(sizes.tolist()) <= {-(-2 * size * (gpus - 1) // gpus)}


def test_members_spread_unevenly_form_one_ring_that_enters_each_machine_once() -> None:
    source, target, sizes = ring_all_reduce([0, 1, 0, 1, 1], 10)
    assert source.tolist() == [0, 2, 1, 3, 4]
    assert target.tolist() == [2, 1, 3, 4, 0]
    assert sizes.tolist() == [16] * 5


def test_one_member_or_no_bytes_need_no_flow() -> None:
    assert len(ring_all_reduce([0], 100)[0]) == 0
    assert len(ring_all_reduce([0, 1], 0)[0]) == 0
