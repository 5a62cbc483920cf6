"""W0 to W7: each isolates what its public definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import counts_of
from janus_sim.workload import Workload
from janus_sim.workload.imbalance import ImbalanceRouting

NAMES = [f"W{number}" for number in range(8)]


def routing(name: str, **changes: Any) -> ImbalanceRouting:
    return ImbalanceRouting(
        **{"name": name, "ranks": 4, "experts": (8,), "tokens": 4000, "top_k": 2} | changes
    )


def heat(one: ImbalanceRouting, step: int = 0) -> np.ndarray:
    """Return the load of each expert over the mean."""
    rows = one.at(step, 0, 0).sum(axis=0)
    return rows / rows.mean()


@pytest.mark.parametrize("name", NAMES)
@given(experts=st.integers(4, 12), top_k=st.integers(1, 2), tokens=st.integers(1, 40), step=st.integers(0, 9))
def test_choices_agree_with_counts_and_no_token_takes_an_expert_twice(
    name: str, experts: int, top_k: int, tokens: int, step: int
) -> None:
    one = routing(name, experts=(experts,), top_k=top_k, tokens=tokens)
    chosen = one.choices_at(step, 0, 0)
    assert chosen.shape == (4, tokens, top_k)
    assert (counts_of(chosen, experts) == one.at(step, 0, 0)).all()
    there = chosen[chosen[..., 0] >= 0]
    assert all(len(set(row)) == top_k for row in there.tolist())


def test_w0_is_balanced_to_a_row() -> None:
    assert heat(routing("W0")).tolist() == [1.0] * 8


def test_w1_and_w2_have_the_public_heat_on_the_first_quarter_of_the_experts() -> None:
    """3/4 of the tokens take both of 2 hot experts, 1/4 any 2 of 8: 8 x (3/4 / 2 + 1/4 / 8) = 3.25."""
    for name in ("W1", "W2"):
        found = heat(routing(name))
        assert found[:2] == pytest.approx([3.25, 3.25], abs=0.1)
        assert found[2:] == pytest.approx([0.25] * 6, abs=0.1)


def test_w3_has_the_heat_of_w2_on_other_experts() -> None:
    found = heat(routing("W3"))
    assert found[[0, 4]] == pytest.approx([3.25, 3.25], abs=0.1)
    assert np.argsort(-found)[:2].tolist() != [0, 1]


def test_w3_of_the_public_code_is_twice_as_wide() -> None:
    """8 x (3/4 / 4 + 1/4 / 8) = 1.75 on each other expert."""
    assert heat(routing("W3", hot=4))[::2] == pytest.approx([1.75] * 4, abs=0.1)


def test_w4_is_ragged_at_the_sources_and_even_at_the_experts() -> None:
    one = routing("W4", padding=0.25)
    assert one.at(0, 0, 0).sum(axis=1).tolist() == [8000, 6000, 8000, 6000]
    assert (one.choices_at(0, 0, 0)[1, 3000:] == -1).all()
    assert heat(one) == pytest.approx([1.0] * 8, abs=0.1)


def test_w5_leaves_half_the_experts_without_a_token() -> None:
    found = heat(routing("W5"))
    assert found[:4].tolist() == [0.0] * 4
    assert found[4:] == pytest.approx([2.0] * 4, abs=0.1)


def test_the_hot_experts_of_w6_move_each_three_steps() -> None:
    hottest = [sorted(np.argsort(-heat(routing("W6"), step))[:2].tolist()) for step in range(13)]
    assert hottest == [[0, 1]] * 3 + [[2, 3]] * 3 + [[4, 5]] * 3 + [[6, 7]] * 3 + [[0, 1]]


def test_each_fourth_step_of_w7_is_a_burst() -> None:
    """Half the tokens take both hot experts, half any 2 of 8: 8 x (1/2 / 2 + 1/2 / 8) = 2.5."""
    peaks = [heat(routing("W7"), step).max() for step in range(8)]
    assert [peak > 1.5 for peak in peaks] == [False, False, False, True] * 2
    assert peaks[3] == pytest.approx(2.5, abs=0.1)


def test_the_seed_and_the_place_alone_decide() -> None:
    first, again, other = routing("W1"), routing("W1"), routing("W1", seed=1)
    again.at(5, 0, 0)
    assert (first.at(0, 0, 0) == again.at(0, 0, 0)).all()
    assert (first.at(0, 0, 0) != other.at(0, 0, 0)).any()


def workload(**written: Any) -> Workload:
    return Workload.load({"base": "smartmoe_gpt", "model": {"layers": 2}, "routing": written}, world=16)


def test_a_workload_names_it() -> None:
    assert workload(kind="W6", hot=4).trace.hot == 4  # type: ignore[attr-defined]
    short = Workload.load({"base": "smartmoe_gpt", "routing": "W0"}, world=16)
    assert (short.chosen(0, 0, 0, 0) == 128).all()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"kind": "W0", "hot": 4}, 'belongs to kind "W1, W2, W3, W6, W7", not to "W0"'),
        ({"kind": "W1", "hot": 1}, "hot 1 is out of range; write 2 to 32"),
        ({"kind": "W4", "padding": 2}, "padding 2 is out of range; write 0 to 1"),
        ({"kind": "W6", "drift": 0.5}, 'does nothing with kind "W6"'),
    ],
)
def test_what_does_not_fit_is_told(written: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        workload(**written)
    assert told in str(error.value)
