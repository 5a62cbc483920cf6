"""Rows go to copies of their experts: none is lost, quotas are kept, and nothing leaves home without need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.workload.copies import Copies, frozen
from janus_sim.workload.layer import RoutedLayer
from janus_sim.workload.parcels import Parcels, matched, parcels
from tests.workload.test_layer import routed

#: Two machines of two, an expert each; expert 0 has 20 rows, of which ranks 1, 2, 3 get 6, 2 and 4.
ROWS = [[4, 0, 2, 2], [6, 2, 0, 0], [8, 0, 0, 0], [2, 0, 4, 2]]
COPIES = Copies(frozen([0, 1, 2, 3]), ((1, 3, 2), (), (), ()), ((6, 4, 2), (), (), ()), (0, 0, 1, 1))


def listed(shared: Parcels, expert: int) -> dict[tuple[int, int], int]:
    mine = shared.expert == expert
    pairs = zip(shared.source[mine].tolist(), shared.holder[mine].tolist(), strict=True)
    return dict(zip(pairs, shared.rows[mine].tolist(), strict=True))


def test_rows_stay_on_their_rank_then_in_their_machine_then_go_where_room_is() -> None:
    """On their own rank 4, 6, 2 and 2; rank 2 has six left, of which rank 3 takes 2 and the home the rest."""
    shared = parcels(np.array(ROWS), COPIES, (0, 1, 2, 3))
    assert listed(shared, 0) == {(0, 0): 4, (1, 1): 6, (2, 2): 2, (3, 3): 2, (2, 3): 2, (2, 0): 4}
    assert listed(shared, 2) == {(0, 2): 2, (3, 2): 4}


def test_a_rerouted_layer_sends_and_runs_where_the_copies_are() -> None:
    """A row has 10 elements, of one byte out and two back."""
    layer = routed(ROWS, home=[0, 1, 2, 3]).rerouted(COPIES)
    assert (layer.dispatch.bytes // 10).tolist() == [[4, 0, 2, 2], [0, 8, 0, 0], [4, 0, 2, 2], [0, 0, 4, 4]]
    assert (layer.combine.bytes == 2 * layer.dispatch.bytes.T).all()
    assert layer.mine(0) == ((0, 8),)
    assert layer.mine(3) == ((0, 4), (3, 4))
    assert layer.copies.replicas_at(3) == (0,)
    assert layer.copies.held_by(2) == (0, 2)
    assert (layer.imbalance("rank"), layer.imbalance("arriving")) == (2.5, 1.0)
    assert (layer.kept(0), layer.rows(2, 0), layer.useful_flops(0)) == (20, 8, 8 * 12)


def test_who_turns_round_goes_the_same_way() -> None:
    layer = routed(ROWS, home=[0, 1, 2, 3], phase="backward").rerouted(COPIES)
    assert (2 * layer.combine.T.bytes == layer.dispatch.bytes).all()  # 1 byte an element out, 2 back
    assert layer.mine(3) == ((0, 4), (3, 4))


def test_padding_is_shared_out_too() -> None:
    """Each rank sends three rows, of which half are kept; two of them run at the replica."""
    copies = Copies(frozen([0]), ((1,),), ((2,),), (0, 0))
    layer = routed([[1], [2]], home=[0], sent=[[3], [3]], padded=True).rerouted(copies)
    assert (layer.mine(0), layer.mine(1)) == (((0, 4),), ((0, 2),))
    assert layer.useful_share(0) == 0.5


def test_a_rerouted_layer_can_be_cut() -> None:
    layer = routed([[1], [2]], home=[0]).rerouted(Copies(frozen([0]), ((1,),), ((1,),), (0, 0)))
    parts = layer.split(2)
    assert [part.mine(0) for part in parts] == [((0, 2),), ()]
    assert [part.mine(1) for part in parts] == [((0, 1),), ()]
    assert [part.useful.tolist() for part in parts] == [[[1], [2]], [[0], [0]]]


def test_more_rows_than_there_are_cannot_be_given_away() -> None:
    with pytest.raises(ValueError, match=r"replicas of expert 0 are to get \(7,\) of 6 rows"):
        routed([[6]], home=[0]).rerouted(Copies(frozen([0]), ((0,),), ((7,),), (0,)))


@given(
    supply=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    demand=st.lists(st.integers(0, 9), min_size=1, max_size=6),
)
def test_what_is_matched_is_given_and_taken_once(supply: list[int], demand: list[int]) -> None:
    given_away, taken = np.zeros(len(supply), dtype=int), np.zeros(len(demand), dtype=int)
    for a, b, many in matched(np.array(supply), np.array(demand)):
        assert many > 0
        given_away[a] += many
        taken[b] += many
    assert (given_away <= supply).all()
    assert (taken <= demand).all()
    assert given_away.sum() == taken.sum() == min(sum(supply), sum(demand))


@st.composite
def rerouted(draw: Any) -> tuple[RoutedLayer, RoutedLayer]:
    """A layer on up to three machines of two ranks, and it rerouted to any copies."""
    ranks, experts = 2 * draw(st.integers(1, 3)), draw(st.integers(1, 4))
    counts = st.lists(st.integers(0, 30), min_size=experts, max_size=experts)
    rows = np.array(draw(st.lists(counts, min_size=ranks, max_size=ranks)))
    home = draw(st.lists(st.integers(0, ranks - 1), min_size=experts, max_size=experts))
    replicas, quotas = [], []
    for expert in range(experts):
        others = draw(st.lists(st.sampled_from([r for r in range(ranks) if r != home[expert]]), unique=True))
        left, some = int(rows[:, expert].sum()), []
        for _ in others:
            some.append(draw(st.integers(0, left)))
            left -= some[-1]
        replicas.append(tuple(others))
        quotas.append(tuple(some))
    machines = tuple(rank // 2 for rank in range(ranks))
    layer = routed(rows, home=home)
    return layer, layer.rerouted(Copies(frozen(home), tuple(replicas), tuple(quotas), machines))


@given(rerouted())
def test_no_row_is_lost_and_every_copy_gets_its_quota(both: tuple[RoutedLayer, RoutedLayer]) -> None:
    layer, moved = both
    ranks, copies = len(layer.group), moved.copies
    shared = parcels(layer.rows_sent, copies, layer.group)
    assert (shared.sent(ranks, layer.experts) == layer.rows_sent).all()
    assert moved.dispatch.bytes.sum() == layer.dispatch.bytes.sum()
    arrived = {rank: dict(moved.mine(rank)) for rank in layer.group}
    for expert in range(layer.experts):
        wanted = dict(zip(copies.of(expert), copies.rows_of(expert, layer.kept(expert)), strict=True))
        assert {rank: rows[expert] for rank, rows in arrived.items() if expert in rows} == {
            rank: rows for rank, rows in wanted.items() if rows
        }


@given(rerouted())
def test_no_row_leaves_its_rank_or_machine_while_another_comes_in(
    both: tuple[RoutedLayer, RoutedLayer],
) -> None:
    """Of one expert: rows leave a place that has a copy only if the copy is full of the place's own rows."""
    _, moved = both
    shared = parcels(moved.rows_sent, moved.copies, moved.group)
    for place in (np.arange(len(moved.group)), np.array(moved.copies.machines)):
        source, holder = place[shared.source], place[shared.holder]
        apart = source != holder
        leaves = set(zip(shared.expert[apart].tolist(), source[apart].tolist(), strict=True))
        comes = set(zip(shared.expert[apart].tolist(), holder[apart].tolist(), strict=True))
        assert not leaves & comes


@given(rerouted(), st.integers(1, 4))
def test_parts_of_a_rerouted_layer_add_up(both: tuple[RoutedLayer, RoutedLayer], parts: int) -> None:
    _, moved = both
    cut = moved.split(parts)
    assert sum(part.rows_sent for part in cut).tolist() == moved.rows_sent.tolist()  # type: ignore[union-attr]
    assert sum(part.dispatch.bytes for part in cut).tolist() == moved.dispatch.bytes.tolist()  # type: ignore[union-attr]
    for rank in moved.group:
        found: dict[int, int] = {}
        for part in cut:
            for expert, rows in part.mine(rank):
                found[expert] = found.get(expert, 0) + rows
        assert found == dict(moved.mine(rank))
