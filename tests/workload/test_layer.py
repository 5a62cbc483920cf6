"""A layer is a value: rows travel, are cut and counted exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.workload.copies import frozen
from janus_sim.workload.kernel import Kernel
from janus_sim.workload.layer import RoutedLayer

if TYPE_CHECKING:
    from janus_sim.workload.model import ModelKernels


class Squares:
    """Stands in for a model's kernels: an expert is one product of rows x 2 x 3, its gradients the same."""

    def expert(self, layer: int, rows: int) -> tuple[Kernel, ...]:
        return (Kernel.product(f"expert of {layer}", m=rows, n=2, k=3, precision="fp16"),)

    expert_input_gradient = expert_weight_gradient = expert

    def add(self, size: int) -> tuple[Kernel, ...]:
        return (Kernel.passes("add", 3 * size, precision="fp16"),)


def routed(useful: Any, home: Any, *, chosen: Any = None, sent: Any = None, **changes: Any) -> RoutedLayer:
    useful = np.asarray(useful)
    n, experts = useful.shape
    fields: dict[str, Any] = {
        "layer": 1, "moe": 0, "step": 0, "micro_batch": 0, "phase": "forward", "group": tuple(range(n)),
        "experts": experts, "home": frozen(home), "weight_bytes": 100, "gradient_bytes": 100, "tokens": 8,
        "top_k": 1, "hidden": 10, "dispatch_width": 1, "combine_width": 2, "expected_rows": 4.0,
        "kernels": cast("ModelKernels", Squares()),
    }  # fmt: skip
    rows = {
        "chosen": useful if chosen is None else chosen,
        "useful": useful,
        "rows_sent": useful if sent is None else sent,
    }
    return RoutedLayer(**{**fields, **{name: frozen(value) for name, value in rows.items()}, **changes})


def test_tokens_travel_to_the_homes_and_back() -> None:
    layer = routed([[1, 2, 3], [4, 5, 6]], home=[0, 1, 0])
    assert layer.dispatch.bytes.tolist() == [[40, 20], [100, 50]]
    assert layer.combine.bytes.tolist() == [[80, 200], [40, 100]]
    assert layer.dispatch.moved == 120


def test_a_gradient_is_as_wide_as_what_goes_its_way_forward() -> None:
    layer = routed([[1, 2, 3], [4, 5, 6]], home=[0, 1, 0], phase="backward")
    assert layer.combine.T.bytes.tolist() == [[40, 20], [100, 50]]
    assert layer.dispatch.T.bytes.tolist() == [[80, 200], [40, 100]]


def test_rows_that_arrive_at_home() -> None:
    layer = routed([[1, 2, 0], [4, 5, 0]], home=[0, 1, 0])
    assert layer.mine(0) == ((0, 5),)
    assert layer.mine(1) == ((1, 7),)
    assert layer.rows(1, 0) == 4
    assert layer.kept(1) == 7
    assert layer.home_of(2) == 0
    assert layer.experts_of(0) == layer.copies.held_by(0) == (0, 2)
    assert layer.copies.of(1) == (1,)


def test_a_group_keeps_its_own_ranks() -> None:
    layer = routed([[1, 0], [0, 4]], home=[6, 7], group=(6, 7))
    assert layer.mine(7) == ((1, 4),)
    assert layer.rows(6, 0) == 1
    assert layer.dispatch.ranks == (6, 7)
    assert layer.key == (0, 0, 1, "forward", 6)
    assert layer.weights_key == (0, 1, 6)


def test_padding_travels_but_is_not_useful() -> None:
    layer = routed([[3, 1]], home=[0, 0], chosen=[[5, 1]], sent=[[3, 3]])
    assert layer.mine(0) == ((0, 3), (1, 3))
    assert layer.rows(0, 1) == 1
    assert layer.facts() == {
        "rows": 6, "dropped_rows": 2, "dropped_share": 1 / 3, "padded_rows": 2,
        "imbalance": 5 / 3, "rank_imbalance": 1.0, "arriving_imbalance": 1.0,
    }  # fmt: skip


def test_useful_flops_are_those_of_the_rank_s_own_rows() -> None:
    layer = routed([[3, 1], [0, 2]], home=[0, 1], sent=[[3, 3], [3, 3]])
    assert layer.useful_flops(0) == 4 * 12
    assert layer.useful_flops(1) == 2 * 12
    assert routed([[3, 1]], home=[0, 0], phase="backward").useful_flops(0) == 2 * 4 * 12


def test_parts_share_the_rows_larger_ones_first() -> None:
    layer = routed([[5, 1], [0, 4]], home=[0, 1])
    first, second = layer.split(2)
    assert first.useful.tolist() == [[3, 1], [0, 2]]
    assert second.useful.tolist() == [[2, 0], [0, 2]]
    assert (first.key[-1], second.key[-1]) == (0, 1)
    assert second.split(2)[1].key == (0, 0, 1, "forward", 0, 1, 1)
    assert layer.split(2)[0] is first
    with pytest.raises(ValueError, match="0 parts"):
        layer.split(0)


def test_what_is_agreed_is_computed_once() -> None:
    layer, asked = routed([[1, 2]], home=[0, 0]), []

    def most(value: RoutedLayer) -> int:
        asked.append(value)
        return int(value.useful.argmax())

    assert [layer.agreed(most) for _ in range(3)] == [1, 1, 1]
    assert asked == [layer]


def test_traffic_ratio_is_the_papers_r() -> None:
    """R = B S k / (4 n H E): moe_gpt on 4 machines of 8 GPUs, one expert a GPU."""
    layer = routed(
        [[1, 1]] * 8, home=[0, 1], hidden=768, weight_bytes=8 * 768**2 * 2, dispatch_width=2, combine_width=2,
        expected_rows=256 * 64 * 4 / 32,
    )  # fmt: skip
    assert layer.traffic_ratio(8) == pytest.approx(256 * 64 * 4 / (4 * 4 * 768))
    assert layer.traffic_ratio(16) == layer.traffic_ratio(8)  # eight ranks are all that share an expert


def test_the_kernels_of_an_expert() -> None:
    layer = routed([[1, 1]], home=[0, 0])
    assert layer.kernel(0, 5)[0].gemm == layer.input_gradient(0, 5)[0].gemm == (5, 2, 3, 1)
    assert layer.weight_gradient(0, 5)[0].name == "expert of 1"
    assert layer.add()[0].bytes == 300


counts = st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=2, max_size=3)


@given(counts, st.integers(1, 7))
def test_parts_add_up_exactly_and_differ_by_a_row(rows: list[list[int]], parts: int) -> None:
    layer = routed(rows, home=np.arange(4) % len(rows), sent=np.array(rows) + 3)
    cut = layer.split(parts)
    for name in ("chosen", "useful", "rows_sent"):
        pieces = np.array([getattr(part, name) for part in cut])
        assert (pieces.sum(axis=0) == getattr(layer, name)).all()
        assert (pieces.max(axis=0) - pieces.min(axis=0) <= 1).all()
    assert all((part.useful <= part.rows_sent).all() for part in cut)
    assert sum(part.dispatch.moved for part in cut) == layer.dispatch.moved


@given(counts)
def test_rows_are_neither_lost_nor_made(rows: list[list[int]]) -> None:
    layer = routed(rows, home=np.arange(4) % len(rows))
    total = int(np.sum(rows))
    assert int(layer.dispatch.bytes.sum()) == total * 10
    assert sum(count for rank in layer.group for _, count in layer.mine(rank)) == total
    assert sum(layer.rows(rank, expert) for rank in layer.group for expert in range(4)) == total
    assert sum(layer.useful_flops(rank) for rank in layer.group) == total * 12
