"""Tokens counted once a machine and once a rank: by hand, and against the plainest way to count."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.workload.distinct import distinct, expected, two_hops
from janus_sim.workload.trace import choices


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5))
def test_pairs_are_counted_as_a_set_counts_them(seed: int, top_k: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.permuted(np.tile(np.arange(6), (2, 7, 1)), axis=2)[:, :, :top_k]
    part = rng.integers(0, parts, 6)
    found = distinct(table, part, parts)
    for rank in range(2):
        pairs = {(token, part[expert]) for token in range(7) for expert in table[rank, token]}
        assert found[rank].tolist() == [sum(place == one for _, place in pairs) for one in range(parts)]


def test_equal_rows_give_the_hypergeometric_share() -> None:
    """DeepSeek-V3's 256 experts, top-8: on 8 machines 0.662 of all tokens go to each."""
    rows = np.full((1, 256), 4096 * 8 // 256)
    found = expected(rows, 4096, np.arange(256) // 32, 8)
    assert found[0].tolist() == [round(4096 * (1 - comb(224, 8) / comb(256, 8)))] * 8


@given(st.integers(0, 2**32), st.sampled_from([1.0, 3.0, 20.0]))
def test_what_is_expected_is_near_what_drawn_tokens_do(seed: int, skew: float) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(16, 10 / skew))
    rows = np.minimum(rng.multinomial(3 * 2000, weights), 2000)
    rows[np.argmin(rows)] += 6000 - rows.sum() if rows.min() + 6000 - rows.sum() <= 2000 else 0
    if rows.sum() != 6000:
        return
    part = np.arange(16) // 4
    drawn = np.mean([distinct(choices(rows, 3, rng)[None], part, 4)[0] for _ in range(4)], axis=0)
    assert np.abs(expected(rows[None], 2000, part, 4)[0] - drawn).max() < 0.06 * 2000


def test_bounds_hold_where_every_token_chose_one_expert() -> None:
    assert expected(np.array([[10, 10, 0, 0]]), 10, np.array([0, 0, 1, 1]), 2).tolist() == [[10, 0]]
    assert expected(np.zeros((1, 2), dtype=np.int64), 10, np.array([0, 1]), 2).tolist() == [[0, 0]]


@given(st.integers(0, 2**32), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_each_byte_crosses_once_and_comes_to_its_rank(seed: int, sizes: list[int]) -> None:
    machines = tuple(machine for machine, size in enumerate(sizes) for _ in range(size))
    rng, at = np.random.default_rng(seed), np.array(machines)
    to_machines = rng.integers(0, 9, (len(at), len(sizes)))
    to_ranks = rng.integers(0, 9, (len(at), len(at)))
    far, near = two_hops(to_machines, to_ranks, machines)
    assert (far.sum(axis=1) == to_machines.sum(axis=1)).all()
    assert (near.sum(axis=0) == to_ranks.sum(axis=0)).all()
    assert near[at[:, None] != at[None, :]].sum() == 0
    for machine in range(len(sizes)):
        assert (far[:, at == machine].sum(axis=1) == to_machines[:, machine]).all()


def test_each_goes_by_the_rank_of_its_own_index() -> None:
    far, near = two_hops(np.array([[5, 2], [4, 3], [1, 6], [0, 7]]), np.eye(4, dtype=int)[::-1], (0, 0, 1, 1))
    assert far.tolist() == [[5, 0, 2, 0], [0, 4, 0, 3], [1, 0, 6, 0], [0, 0, 0, 7]]
    assert near.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]


@pytest.mark.parametrize("top_k", [1, 2, 8])
def test_many_different_sets_are_drawn_from_equal_counts(top_k: int) -> None:
    """One order of the experts would allow but as many sets as experts a column."""
    table = choices(np.full(32, 64 * top_k // 2), top_k, np.random.default_rng(1))
    assert np.bincount(table.ravel()).tolist() == [64 * top_k // 2] * 32
    assert len({frozenset(token) for token in table.tolist()}) > 32 // top_k or top_k == 1
