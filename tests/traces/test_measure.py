"""How unequal routing is, and what a placement that stays suffers, in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import RoutingTrace
from janus_sim.traces.measure import gini, loads, measured, packed


def test_a_hot_expert_that_moves() -> None:
    """Expert 0 is hot at first, expert 2 then: what was packed for the first step is wrong in the second."""
    counts = np.array([[6, 2, 2, 2], [2, 2, 6, 2]]).reshape(2, 1, 1, 1, 4)
    found = measured(RoutingTrace.of(counts), placed_on=2)
    assert found.max_over_mean.ravel().tolist() == [2.0, 2.0]
    assert found.contiguous.ravel().tolist() == [8 / 6, 8 / 6]
    assert found.first.ravel().tolist() == [8 / 6, 8 / 6]
    assert found.hindsight.ravel().tolist() == [8 / 6, 8 / 6]
    assert loads(RoutingTrace.of(counts), 0).tolist() == [[6, 2, 2, 2], [2, 2, 6, 2]]


def test_packing_evens_out_what_blocks_do_not() -> None:
    counts = np.array([4, 4, 1, 1]).reshape(1, 1, 1, 1, 4)
    found = measured(RoutingTrace.of(counts), placed_on=2)
    assert (found.contiguous.item(), found.first.item(), found.hindsight.item()) == (1.6, 1.0, 1.0)
    with pytest.raises(InputError, match="3 cannot share 4 experts evenly"):
        measured(RoutingTrace.of(counts), placed_on=3)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=12), st.integers(1, 4))
def test_packed_gives_each_rank_equally_many(load: list[int], ranks: int) -> None:
    place = packed(np.array(load * ranks), ranks)
    assert np.bincount(place, minlength=ranks).tolist() == [len(load)] * ranks


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9).filter(any))
def test_gini_is_half_the_mean_difference_over_the_mean(load: list[int]) -> None:
    rows = np.array(load)
    twin = np.abs(rows[:, None] - rows[None]).mean() / (2 * rows.mean())
    assert gini(rows) == pytest.approx(twin, abs=1e-12)
