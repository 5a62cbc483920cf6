"""A workload on ranks: routed layers add up, and what does not fit is told with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError, PolicyError
from janus_sim.traces import Chosen
from janus_sim.workload import Plan, Workload
from janus_sim.workload.routing import capacity

MODEL: dict[str, Any] = {
    "layers": 4, "moe_layers": "every 2", "experts_per_rank": 1, "top_k": 2, "hidden": 16,
    "ffn": {"width": 64}, "heads": 2, "vocabulary": 100,
}  # fmt: skip


def tiny(world: int = 4, model: dict[str, Any] | None = None, **changes: Any) -> Workload:
    data = {"precision": "fp16", "micro_batch_size": 2, "seq_length": 16, **changes}
    return Workload.load({**data, "model": {**MODEL, **(model or {})}}, world, where="x.yaml:")


def refused(world: int = 4, model: dict[str, Any] | None = None, **changes: Any) -> str:
    with pytest.raises(InputError) as error:
        tiny(world, model, **changes)
    return str(error.value)


def test_balanced_rows_travel_in_equal_shares() -> None:
    layer = tiny().routed(0, 0, 1, "forward", 0, tiny().plan)
    assert (layer.layer, layer.moe, layer.experts, layer.last) == (1, 0, 4, True)
    assert (layer.dispatch.bytes == 16 * 16 * 2).all()
    assert layer.mine(3) == ((3, 64),)
    assert layer.weight_bytes == 2 * 16 * 64 * 2
    assert layer.expected_rows == 16


def test_a_visit_knows_no_counts() -> None:
    visit = tiny().moe_layer(0, 0, 3, "forward", 0, tiny().plan)
    assert not hasattr(visit, "useful")
    assert visit.experts_of(2) == (2,)


def test_bytes_of_dispatch_and_combine_differ() -> None:
    layer = tiny(dispatch_bytes=1).routed(0, 0, 1, "forward", 0, tiny().plan)
    assert layer.combine.moved == 2 * layer.dispatch.moved
    backward = tiny(dispatch_bytes=1).routed(0, 0, 1, "backward", 0, tiny().plan)  # the other way round
    assert (backward.combine.moved, backward.dispatch.moved) == (layer.dispatch.moved, layer.combine.moved)


def test_groups_have_their_own_rows_and_homes() -> None:
    workload = tiny(parallel={"ep": 2}, routing="uniform")
    first, second = (workload.routed(0, 0, 1, "forward", group, workload.plan) for group in (0, 1))
    assert (first.group, second.group) == ((0, 1), (2, 3))
    assert second.home.tolist() == [2, 3]
    assert np.vstack([first.chosen, second.chosen]).tolist() == workload.trace.at(0, 0, 0).tolist()


def test_layers_differ_in_experts() -> None:
    workload = tiny(model={"experts_per_rank": [1, 2]})
    assert workload.experts == (4, 8)
    assert workload.routed(0, 0, 3, "forward", 0, workload.plan).experts_of(1) == (2, 3)


def test_capacity_drops_alike_and_pads() -> None:
    """64 rows for 4 experts: C = 16."""
    skewed = {"kind": "dirichlet", "max_over_mean": 2.0}
    padded, kept = (tiny(capacity_factor=1.0, routing=skewed, pad=pad) for pad in (True, False))
    one, two = (workload.routed(0, 0, 1, "forward", 0, workload.plan) for workload in (padded, kept))
    assert (one.useful == two.useful).all()
    assert one.useful.max() == 16
    assert (one.rows_sent == 16).all()
    assert two.rows_sent is two.useful
    assert (one.padded, two.padded) == (True, False)
    assert one.facts()["dropped_rows"] == two.facts()["dropped_rows"] > 0


@given(
    st.sampled_from([1.0, 1.1, 1.2, 1.25, 1.5, 2.0]),
    st.integers(1, 8),
    st.integers(1, 500),
    st.integers(1, 64),
)
def test_capacity_is_the_decimal_one(factor: float, top_k: int, tokens: int, experts: int) -> None:
    hundredths = round(100 * factor)
    assert capacity(factor, top_k, tokens, experts) == -(-hundredths * top_k * tokens // (100 * experts))


def test_experts_move_with_the_plan() -> None:
    workload = tiny()
    plan = workload.plan.swapped(0, 0, 3)
    layer = workload.routed(0, 0, 1, "forward", 0, plan)
    assert layer.mine(0) == ((3, 64),)
    assert workload.routed(0, 0, 3, "forward", 0, plan).mine(0) == ((0, 64),)


@pytest.mark.parametrize("homes", [[0, 1, 2, 4], [0, 1, 2, -1], [0, 1, 2]])
def test_a_plan_that_cannot_be(homes: list[int]) -> None:
    with pytest.raises(PolicyError, match="4 positions from 0 to 3"):
        tiny().routed(0, 0, 1, "forward", 0, Plan((np.array(homes), np.array([0, 1, 2, 3]))))


def test_the_past_is_all_that_has_finished() -> None:
    workload = tiny(micro_batches=2, steps=3, routing="uniform")
    past = workload.past(2, 3, 0)
    assert past.shape == (2, 4, 4)
    assert past[1].tolist() == (workload.trace.at(1, 0, 1) + workload.trace.at(1, 1, 1)).tolist()
    assert workload.past(0, 3, 0).shape == (0, 4, 4)
    assert workload.routed(0, 0, 1, "forward", 0, workload.plan).last is False


def test_trials_see_balanced_routing() -> None:
    workload = tiny(routing={"kind": "zipf", "exponent": 2.0})
    assert workload.routed(0, 0, 1, "forward", 0, workload.plan).imbalance() > 1.5
    assert workload.balanced().routed(0, 0, 1, "forward", 0, workload.plan).imbalance() == 1.0


def test_the_seed_is_the_experiment_s_unless_the_workload_has_one() -> None:
    data = {"model": MODEL, "precision": "fp16", "micro_batch_size": 2, "seq_length": 16}
    own = {**data, "routing": {"kind": "uniform", "seed": 5}}
    free = {**data, "routing": "uniform"}
    rows = [
        Workload.load(what, 4, seed=seed).trace.at(0, 0, 0).tolist()
        for what in (own, free)
        for seed in (5, 6)
    ]
    assert rows[0] == rows[1] == rows[2] != rows[3]


def test_a_dense_model_has_no_routing() -> None:
    workload = tiny(model={"moe_layers": "none", "experts_per_rank": None, "top_k": 1})
    assert workload.experts == workload.moe_layers == ()


def test_dense_gradients_in_bytes() -> None:
    workload = tiny()
    assert workload.gradient_bytes(0) == 2 * workload.kernels.dense_parameters(0)


def test_what_does_not_fit_is_told() -> None:
    assert "x.yaml:\n  parallel.ep  3 does not divide the 4 ranks" in refused(parallel={"ep": 3})
    assert "model.top_k" in refused(model={"top_k": 5})
    assert "routing.max_over_mean  3 cannot be: a token picks 2 distinct experts; write at most 2" in refused(
        routing={"kind": "dirichlet", "max_over_mean": 3.0}
    )


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """Three iterations of two MoE layers, 4 ranks, 4 experts, 64 rows a rank."""
    counts = np.tile([32, 20, 12, 0], (3, 2, 4, 1)).transpose(0, 2, 1, 3)
    np.savez(tmp_path / "t.npz", counts=counts, iteration=[10, 20, 30])
    return str(tmp_path / "t.npz")


def test_a_trace_is_replayed(trace: str) -> None:
    workload = tiny(routing={"trace": trace, "iterations": [30, 10]})
    assert workload.steps == 2
    layer = workload.routed(1, 0, 3, "forward", 0, workload.plan)
    assert layer.mine(0) == ((0, 128),)
    assert layer.mine(3) == ()
    assert layer.imbalance() == 2.0
    assert tiny(routing={"trace": trace}).steps == 1
    assert tiny(routing={"trace": trace, "iterations": 3}).steps == 3
    assert tiny(routing={"trace": trace}, steps=2).steps == 2


def test_a_trace_of_another_workload(trace: str) -> None:
    routing = {"trace": trace}
    text = refused(world=8, routing=routing, micro_batch_size=1)
    assert "has 4 ranks; write a topology of 4 GPUs, not 8" in text
    assert "has 2 MoE layers of 4 experts; the model has 2 of 8" in text
    assert "64 rows, the workload 32 (tokens x top_k); write a micro_batch_size x seq_length of 32" in text
    assert text.count("routing.trace") == 3
    assert "micro_batches: 1, not 2" in refused(routing=routing, micro_batches=2)
    assert "3 iterations are chosen; write steps: 3, not 4" in refused(routing=routing, steps=4)
    assert "more rows than there are tokens (16)" in refused(
        model={"top_k": 4}, micro_batch_size=1, routing=routing
    )
    assert "no such file" in refused(routing={"trace": "missing.npz"})


def test_real_routing_from_the_smartmoe_trace(data: Path) -> None:
    folder = data / "routing" / "smartmoe"
    files = [str(folder / name) for name in ("trace_mb0_iter0001-2491.npz", "trace_mb0_iter2501-5001.npz")]
    model = {"layers": 24, "moe_layers": "all", "experts_per_rank": 2}
    workload = tiny(
        16, model, micro_batch_size=2, seq_length=1024, routing={"trace": files, "iterations": 12}
    )
    assert workload.steps == 12
    assert isinstance(workload.trace, Chosen)
    straight = np.load(files[1], allow_pickle=False)["counts"][-1, :, 7].astype(np.int64).sum(axis=0)
    layer = workload.routed(11, 0, 7, "forward", 0, workload.plan)
    assert layer.imbalance() == straight.max() / straight.mean()
    assert layer.imbalance("rank") == straight.reshape(16, 2).sum(axis=1).max() / (straight.sum() / 16)


@given(
    st.sampled_from(["balanced", "uniform", "zipf"]), st.sampled_from([None, 1.0, 1.25]), st.booleans(),
    st.sampled_from([1, 2, 4]),
)  # fmt: skip
def test_useful_rows_do_not_depend_on_padding_or_paradigm(
    kind: str, factor: float | None, pad: bool, ep: int
) -> None:
    workload = tiny(
        routing=kind,
        capacity_factor=factor,
        pad=pad,
        parallel={"ep": ep},
        model={"experts": 4, "experts_per_rank": None},
    )
    for group, ranks in enumerate(workload.layout.groups):
        layer = workload.routed(0, 0, 1, "forward", group, workload.plan)
        own = sum(layer.own_rows(rank) for rank in ranks)
        assert own == sum(layer.kept(expert) for expert in range(4)) <= 64 * ep
        assert sum(rows for rank in ranks for _, rows in layer.mine(rank)) == layer.rows_sent.sum()
        assert sum(layer.sent_by(rank) for rank in ranks) == layer.rows_sent.sum()
        assert (layer.useful <= layer.rows_sent).all()
