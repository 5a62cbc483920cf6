"""Synthetic counts obey their rule, add up exactly, and do not depend on the order of asking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from janus_sim.workload.copies import max_over_mean
from janus_sim.workload.shares import Popularity, exponential, sharpened
from janus_sim.workload.synthetic import SyntheticRouting, apportioned, balanced, capped


def routing(kind: str = "balanced", **changes: Any) -> SyntheticRouting:
    fields: dict[str, Any] = {"ranks": 4, "experts": (8, 8), "tokens": 100, "top_k": 2}
    return SyntheticRouting(kind=kind, **{**fields, **changes})


def test_balanced_is_equal_where_it_can_be() -> None:
    assert (routing(tokens=16).at(0, 0, 0) == 4).all()


def test_remainders_are_rotated_over_ranks_layers_and_steps() -> None:
    """10 rows for 4 experts: two of them get 3; two ranks serve all four once."""
    assert balanced(10, ranks=2, experts=4).tolist() == [[3, 3, 2, 2], [2, 2, 3, 3]]
    odd = routing(ranks=1, experts=(4, 4), tokens=5)
    totals = odd.at(0, 0, 0) + odd.at(0, 0, 1)
    assert totals.tolist() == [[5, 5, 5, 5]]


def test_uniform_draws_are_multinomial() -> None:
    rows = routing("uniform", tokens=10_000).at(0, 0, 0)
    assert (rows.sum(axis=1) == 20_000).all()
    assert 1.0 < max_over_mean(rows.sum(axis=0)) < 1.05
    assert rows[0].tolist() != rows[1].tolist()


def test_zipf_falls_as_the_power_of_the_place() -> None:
    shares = np.sort(routing("zipf", exponent=1.0).shares(0, 0))[::-1]
    assert shares[0] / shares[3] == pytest.approx(4)
    flat = routing("zipf", exponent=0.0).shares(0, 0)
    assert flat.tolist() == [1 / 8] * 8


@pytest.mark.parametrize("target", [1.0, 1.2, 2.0, 3.0, 4.0])
def test_dirichlet_hits_its_target_to_a_row(target: float) -> None:
    drawn = routing("dirichlet", max_over_mean=target, tokens=1000)
    for step in range(3):
        rows = drawn.at(step, 0, 1).sum(axis=0)
        assert rows.max() == pytest.approx(target * 1000, abs=1)


def test_each_group_has_the_same_totals() -> None:
    drawn = routing("dirichlet", max_over_mean=2.0, group=2, tokens=77)
    rows = drawn.at(0, 0, 0)
    assert rows[:2].sum(axis=0).tolist() == rows[2:].sum(axis=0).tolist()
    assert rows[:2].sum(axis=0).max() == pytest.approx(2 * 2 * 77 * 2 / 8, abs=1)


def test_shares_drift_from_step_to_step() -> None:
    still, slow, anew = (routing("dirichlet", max_over_mean=2.0, drift=drift) for drift in (0.0, 0.01, 1.0))
    assert still.shares(5, 0).tolist() == still.shares(0, 0).tolist()
    near, far = (np.abs(one.shares(1, 0) - one.shares(0, 0)).max() for one in (slow, anew))
    assert 0 < near < far


def test_the_walk_keeps_its_spread() -> None:
    walk = Popularity((4000,), drift=0.3, correlation=0.0, seed=1)
    assert [walk.at(step, 0).std() for step in (0, 7)] == pytest.approx([1, 1], abs=0.05)


def test_layers_correlate_as_asked() -> None:
    for correlation in (0.0, 0.5, 1.0):
        values = Popularity((5000, 5000), drift=0.5, correlation=correlation, seed=2)
        found = np.corrcoef(values.at(3, 0), values.at(3, 1))[0, 1]
        assert found == pytest.approx(correlation, abs=0.05)


def test_exponential_values_have_mean_one() -> None:
    values = exponential(np.random.default_rng(1).standard_normal(20_000))
    assert (values.mean(), values.std()) == pytest.approx((1, 1), abs=0.05)


def test_any_part_in_any_order() -> None:
    places = [(2, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 1)]
    one, other = (routing("zipf", drift=0.5, correlation=0.5, seed=3) for _ in range(2))
    forward = [one.at(*place).tolist() for place in places]
    assert [other.at(*place).tolist() for place in reversed(places)] == forward[::-1]
    assert forward != [
        routing("zipf", drift=0.5, correlation=0.5, seed=4).at(*place).tolist() for place in places
    ]


def test_more_ranks_draw_the_same_rows_for_the_first() -> None:
    few, many = routing("uniform", ranks=2).at(0, 0, 0), routing("uniform", ranks=5).at(0, 0, 0)
    assert few.tolist() == many[:2].tolist()


def test_choices_of_tokens_agree_with_the_counts() -> None:
    drawn = routing("zipf", exponent=1.5)
    table = drawn.choices(0, 0, 1, rank=3)
    assert table.shape == (100, 2)
    assert (table[:, 0] != table[:, 1]).all()
    assert np.bincount(table.ravel(), minlength=8).tolist() == drawn.at(0, 0, 1)[3].tolist()


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("dirichlet", {"max_over_mean": 5.0}, "write 1 to 4"),
        ("dirichlet", {"max_over_mean": 0.5}, "write 1 to 4"),
        ("zipf", {"correlation": 2.0}, "correlation 2"),
        ("zipf", {"drift": -1.0}, "drift -1"),
        ("balanced", {"top_k": 9}, "top_k 9"),
        ("gaussian", {}, "write one of balanced, uniform"),
    ],
)
def test_out_of_range(kind: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        routing(kind, **changes)


@given(
    st.sampled_from(["balanced", "uniform", "zipf", "dirichlet"]),
    st.integers(1, 4), st.integers(0, 12), st.integers(1, 60), st.integers(1, 5), st.integers(0, 9),
    st.floats(0, 1),
)  # fmt: skip
def test_rows_add_up_and_no_token_picks_twice(
    kind: str, top_k: int, extra: int, tokens: int, ranks: int, seed: int, skew: float
) -> None:
    experts = top_k + extra
    drawn = routing(
        kind, experts=(experts,), tokens=tokens, top_k=top_k, ranks=ranks, seed=seed, drift=0.5,
        exponent=3 * skew, max_over_mean=1 + skew * (experts / top_k - 1),
    )  # fmt: skip
    rows = drawn.at(1, 1, 0)
    assert rows.shape == (ranks, experts)
    assert (rows.sum(axis=1) == tokens * top_k).all()
    assert rows.min() >= 0
    assert rows.max() <= tokens
    if kind == "balanced":
        assert rows.max() - rows.min() <= 1
        assert np.ptp(rows.sum(axis=0)) <= 1


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=20, unique=True), st.floats(0, 1))
def test_sharpened_shares_hit_the_target(weights: list[float], skew: float) -> None:
    assume(max(weights) > 1.01 * sorted(weights)[-2])
    target = 1 + skew * (len(weights) - 1) * 0.99
    shares = sharpened(np.array(weights), target)
    assert shares.sum() == pytest.approx(1)
    assert len(weights) * shares.max() == pytest.approx(target, rel=1e-9)
    assert shares[np.argmax(weights)] == shares.max()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), st.integers(0, 500), st.floats(0, 0.999))
def test_apportioned_rows_add_up(weights: list[float], rows: int, offset: float) -> None:
    assume(sum(weights) > 0.1)
    shares = np.array(weights) / sum(weights)
    given_rows = apportioned(rows, shares, offset)
    assert given_rows.sum() == rows
    assert np.abs(given_rows - rows * shares).max() < 1 + 1e-6


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8), st.integers(1, 40))
def test_capped_rows_stay_in_number(counts: list[int], limit: int) -> None:
    assume(sum(counts) <= limit * len(counts))
    result = capped(np.array(counts), limit, np.full(len(counts), 1 / len(counts)), np.random.default_rng(1))
    assert result.sum() == sum(counts)
    assert result.max() <= limit
