"""What is too much for a home spills: decisions by hand, bytes by hand, and when it is worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.policies import ExpertCentric, LeastLoaded
from janus_sim.policies.least_loaded import spilled
from tests.policies.four import COUNTS, EXPERT, ROW, all_to_all, step
from tests.policies.small import crossed, expert_of, fetches, gradients, run

FINE = LeastLoaded(piece=1)


def spill(
    rows: list[int], places: int, *, capacity: float = 1.0, piece: int = 1
) -> dict[int, dict[int, int]]:
    each = len(rows) // places
    home = np.arange(len(rows)) // each
    return spilled(np.array(rows), home, places, capacity=capacity, piece=piece)


def test_the_largest_expert_keeps_what_fits_and_spills_to_the_least_loaded_first() -> None:
    """Eight fit. Twelve are left: place 1 has two and takes 6, then place 3 with four, then place 2."""
    assert spill([20, 2, 6, 4], 4) == {0: {1: 6, 3: 4, 2: 2}}


def test_what_a_place_will_have_of_its_own_counts_before_it_is_given() -> None:
    """Place 1 has no small load: its own 9 come later, and only place 2 has room."""
    assert spill([18, 9, 0], 3) == {0: {2: 9}}


def test_experts_of_one_home_go_largest_first_and_the_smaller_one_goes_whole() -> None:
    """Ten fit at place 0, of 9 and 8; the 8 are looked at last and find 9 taken and one place left."""
    assert spill([9, 8, 2, 1], 2) == {0: {1: 7}}


def test_small_pieces_are_not_made_but_of_the_last_rows() -> None:
    """40 of 100 fit. Place 1 has room for 30, place 2 for 20; place 3 for 10, which are the last."""
    assert spill([100, 10, 20, 30], 4, piece=20) == {0: {1: 30, 2: 20, 3: 10}}


def test_where_no_piece_fits_the_emptiest_takes_all_and_spills_its_own() -> None:
    """After 30 at place 1 nobody has room for 25: place 2 takes 30, and 10 of its own 20 go to place 3."""
    assert spill([100, 10, 20, 30], 4, piece=25) == {0: {1: 30, 2: 30}, 2: {3: 10}}


def test_a_larger_capacity_spills_less() -> None:
    assert spill([70, 10, 10, 10], 4, capacity=2.0) == {0: {1: 20}}
    assert spill([70, 10, 10, 10], 4, capacity=2.8) == {}


def test_alone_there_is_nowhere_to_spill() -> None:
    assert spill([5, 9], 1) == {}


@given(
    st.integers(1, 4).flatmap(
        lambda each: st.lists(
            st.lists(st.integers(0, 500), min_size=each, max_size=each), min_size=2, max_size=6
        )
    )
)
def test_without_a_least_piece_nobody_gets_more_than_the_mean_and_a_remainder(rows: list[list[int]]) -> None:
    places, each = len(rows), len(rows[0])
    flat = np.array(rows).ravel()
    found = spill(flat.tolist(), places)
    load = flat.reshape(places, each).sum(axis=1)
    for expert, taken in found.items():
        assert 0 < sum(taken.values()) <= flat[expert]
        for place, some in taken.items():
            assert place != expert // each
            load[place] += some
            load[expert // each] -= some
    assert load.sum() == flat.sum()
    assert load.max() < flat.sum() // places + places or load.max() <= 1


def test_below_the_threshold_it_is_plain_expert_parallelism(tmp_path: Path) -> None:
    """20 of 32 rows on one of four GPUs are 2.5 times the mean."""
    plain, calm = step(ExpertCentric(), tmp_path), step(LeastLoaded(piece=1, threshold=2.6), tmp_path)
    assert all_to_all(calm) == all_to_all(plain)
    assert not calm.sent
    assert "plan" not in set(calm.spans["label"][calm.spans["end"] > calm.spans["begin"]])
    assert fetches(step(LeastLoaded(piece=1, threshold=2.5), tmp_path))


def test_bytes_by_hand(tmp_path: Path) -> None:
    """Expert 0 keeps 8 of 20 rows; GPUs 1, 3 and 2 get 6, 4 and 2 (`tests/workload/test_parcels.py`).

    Of the rows of GPU 2 for it two stay, two go to GPU 3 and four to GPU 0; GPU 0 sends two rows to each of
    GPUs 2 and 3, and GPU 3 four to GPU 2. Without spilling 14 rows leave machines, now 8.
    """
    assert all_to_all(step(ExpertCentric(), tmp_path))["dispatch"] == ([4, 6, 8, 6], 14)
    one = step(FINE, tmp_path)
    assert all_to_all(one) == {
        "dispatch": ([4, 0, 6, 4], 8),
        "combine": ([4, 0, 6, 4], 8),
        "combine backward": ([4, 0, 6, 4], 8),
        "dispatch backward": ([4, 0, 6, 4], 8),
    }
    ways = [(sent.source, sent.target, expert_of(sent), sent.size) for sent in fetches(one)]
    assert sorted(ways) == sorted(2 * [(0, 1, 0, EXPERT), (0, 2, 0, EXPERT), (0, 3, 0, EXPERT)])
    home = [(sent.source, sent.target, expert_of(sent), sent.size) for sent in gradients(one)]
    assert sorted(home) == [(1, 0, 0, EXPERT), (2, 0, 0, EXPERT), (3, 0, 0, EXPERT)]
    counted = one.spans["label"] == "counts"
    ring = 2 * 3 * COUNTS // 4  # each of two links between machines carries three of four parts
    assert one.spans["far_bytes"][counted].sum() == ring
    assert crossed(one) == 4 * 8 * ROW + 2 * 2 * EXPERT + 2 * EXPERT + ring


def test_it_is_decided_once_a_micro_batch_and_layer_and_not_again_in_backward(tmp_path: Path) -> None:
    one = step(FINE, tmp_path)
    plans = one.spans["label"] == "plan"
    assert (one.spans["phase"][plans] == "forward").all()
    assert plans.sum() == 4


def test_weights_come_before_the_dispatch_and_gradients_go_home_under_the_attention(tmp_path: Path) -> None:
    one = step(FINE, tmp_path)
    spans = one.spans
    first = min(sent.end(one.cluster) for sent in fetches(one))
    assert spans["begin"][(spans["label"] == "dispatch")].min() >= first
    for sent in gradients(one):
        mine = (spans["rank"] == sent.source) & (spans["label"] == "attention backward")
        assert sent.begin <= spans["begin"][mine].min()
        assert sent.end(one.cluster) <= spans["begin"][spans["label"] == "optimizer"].min()


@pytest.mark.parametrize("knobs", [{"capacity": 0.9}, {"piece": 0}])
def test_knobs_that_leave_rows_without_a_place_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        LeastLoaded(**knobs)  # type: ignore[arg-type]


def test_its_ledger_has_room_for_the_widest_layer() -> None:
    one = run(FINE, "2 x 2", routing={"kind": "zipf", "exponent": 1.5, "seed": 1})
    machines = (0, 0, 1, 1)
    layers = [FINE.rerouted(visit, machines, 2) for visit in one.visits("forward")]
    for rank in range(4):
        most = max(len(layer.copies.replicas_at(rank)) for layer in layers)
        found = FINE.memory(rank, (0, 1), layers, 2)
        assert found["replica weights"] == found["replica gradients"] == most * layers[0].weight_bytes
    assert any(FINE.memory(rank, (0, 1), layers, 2)["replica weights"] for rank in range(4))
