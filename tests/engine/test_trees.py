"""Trees: each machine is inner in one of two at most, and the closed forms on a uniform network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.trees import parents, tree_all_reduce, tree_broadcast, twins
from tests.engine.lab import GB
from tests.engine.uniform import leaving, seconds, where


def depth(tree: list[int], vertex: int) -> int:
    steps = 0
    while tree[vertex] >= 0:
        vertex, steps = tree[vertex], steps + 1
    return steps


@given(st.integers(1, 200))
def test_both_are_trees_of_logarithmic_depth(count: int) -> None:
    for tree in twins(count):
        assert tree.count(-1) == 1
        assert max(depth(tree, vertex) for vertex in range(count)) <= np.log2(count) + 1
        assert max(np.bincount([up for up in tree if up >= 0], minlength=1)) <= 2


@given(st.integers(2, 200))
def test_nobody_is_inner_in_both(count: int) -> None:
    first, second = twins(count)
    inner = set(first) & set(second) - {-1}
    roots = {first.index(-1), second.index(-1)}
    assert inner <= (roots if count > 2 else {0, 1})


def test_all_odd_ones_are_leaves() -> None:
    assert not {1, 3, 5, 7, 9} & set(parents(11))


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 10**9))
def test_no_machine_sends_more_than_two_buffers(machines: int, gpus: int, size: int) -> None:
    places = where(machines, gpus)
    out = leaving(tree_all_reduce(places, size), places)
    assert out.max() <= 2 * size + 2 * gpus
    assert out.sum() == (2 * (machines - 1) * size)  # up and down each edge of two trees with half of it each


@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_two_machines_send_each_other_the_buffer_once(gpus: int) -> None:
    places = where(2, gpus)
    pairs = tree_all_reduce(places, 8 * GB)
    assert leaving(pairs, places).tolist() == [8 * GB] * 2
    inside = 2 * 8 * (gpus - 1) / gpus
    assert seconds(pairs, 2, gpus) == pytest.approx(max(inside, 8 / gpus))


def test_in_one_machine_it_takes_what_a_ring_takes() -> None:
    assert seconds(tree_all_reduce([0] * 8, 8 * GB), 1, 8) == 14


@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_a_broadcast_reaches_all_but_the_root_once(machines: int, gpus: int, data: st.DataObject) -> None:
    root = data.draw(st.integers(0, machines * gpus - 1))
    _, target, sizes = tree_broadcast(where(machines, gpus), 1000, root)
    received = np.bincount(target, weights=sizes, minlength=machines * gpus)
    assert received[np.arange(machines * gpus) != root].tolist() == [1000] * (machines * gpus - 1)
    assert received[root] <= 1000  # the heads of the other shares have theirs from it


def test_a_broadcast_takes_what_its_busiest_machine_sends() -> None:
    assert seconds(tree_broadcast(where(2, 1), 8 * GB, 1), 2, 1) == 8
    assert seconds(tree_broadcast(where(4, 1), 8 * GB, 0), 4, 1) == 16  # two children


def test_unlike_machines_share_one_tree_and_nothing_needs_no_flow() -> None:
    assert [part.tolist() for part in tree_broadcast([0, 0, 1], 5, 0)] == [[0, 0], [1, 2], [5, 5]]
    assert len(tree_all_reduce([0], 5)[0]) == len(tree_all_reduce([0, 1], 0)[0]) == 0
