"""The ledger, in numbers that can be done in the head."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from janus_sim.workload import Workload
from janus_sim.workload.memory import (
    attention_bytes,
    inner_elements,
    layer_bytes,
    ledger,
    logits_bytes,
    parameters,
)

MODEL: dict[str, Any] = {
    "layers": 2, "moe_layers": "every 2", "experts_per_rank": 1, "hidden": 10, "ffn": {"width": 40},
    "heads": 2, "vocabulary": 100, "bias": False, "dropout": False, "positions": "none",
}  # fmt: skip


def tiny(world: int = 4, model: dict[str, Any] | None = None, **changes: Any) -> Workload:
    data = {"precision": "fp16", "micro_batch_size": 2, "seq_length": 8, **changes}
    return Workload.load({**data, "model": {**MODEL, **(model or {})}}, world)


def visits(workload: Workload, batches: int = 1) -> list[Any]:
    plan = workload.plan
    return [
        workload.routed(0, batch, layer, "forward", 0, plan)
        for batch in range(batches)
        for layer in workload.moe_layers
    ]


def test_parameters_of_a_rank() -> None:
    """Embedding 1000, last norm 10; twice norms 20 and attention 400; network 800, gate 40; expert 800."""
    assert parameters(tiny(), rank=0) == (1000 + 10 + 2 * 420 + 800 + 40, 800)


def test_experts_follow_the_plan() -> None:
    workload = tiny(model={"experts_per_rank": 2})
    assert parameters(workload, 0) == parameters(workload, 3)
    assert parameters(workload, 0, workload.plan.swapped(0, 0, 7))[1] == 1600


@pytest.mark.parametrize(
    ("changes", "weights", "state"),
    [
        ({}, 2, 12),
        ({"precision": "bf16"}, 2, 12),
        ({"precision": "tf32"}, 4, 8),
        ({"precision": "fp32", "optimizer": "sgd"}, 4, 0),
        ({"optimizer": "sgd"}, 2, 4),
    ],
)
def test_bytes_a_parameter(changes: dict[str, Any], weights: int, state: int) -> None:
    parts = ledger(tiny(**changes), rank=0)
    assert parts["weights"] == parts["gradients"] == weights * 3490
    assert parts["optimizer"] == state * 3490


def test_a_distributed_optimizer_shards_over_replicas() -> None:
    """4 ranks hold the dense parameters, 2 groups each expert."""
    parts = ledger(tiny(distributed_optimizer=True, parallel={"ep": 2}), rank=0)
    dense, experts = parameters(tiny(parallel={"ep": 2}), rank=0)
    assert parts["optimizer"] == 12 * -(-dense // 4) + 12 * experts // 2


def test_attention_keeps_heads_output_and_scores() -> None:
    """16 tokens of 10: q, k, v and output are 160 elements each, scores 2 x 2 x 8 x 8 = 256."""
    assert attention_bytes(tiny()) == 2 * (4 * 160 + 256)
    assert attention_bytes(tiny(model={"dropout": True})) == 2 * (4 * 160 + 2 * 256) + 256
    assert attention_bytes(tiny(kernels="fused")) == 2 * 4 * 160 + 4 * 16 * 2
    assert attention_bytes(tiny(model={"kv_heads": 1, "attention": "flash"})) == 2 * 3 * 160 + 4 * 16 * 2


def test_published_formula_of_a_dense_layer() -> None:
    """Korthikanti et al. 2022, section 4.1: s b h (34 + 5 a s / h) bytes in half precision, with dropout."""
    workload = tiny(model={"dropout": True, "hidden": 64, "ffn": {"width": 256}, "heads": 4}, seq_length=32)
    assert layer_bytes(workload, 0) == 32 * 2 * 64 * (34 + 5 * 4 * 32 / 64)


def test_inside_of_a_network() -> None:
    gated = tiny(model={"ffn": {"width": 40, "kind": "swiglu"}})
    fused = tiny(model={"ffn": {"width": 40, "kind": "swiglu"}}, kernels="fused")
    found = [inner_elements(workload.spec, width=40, rows=3) for workload in (tiny(), gated, fused)]
    assert found == [240, 480, 360]


def test_experts_keep_the_rows_they_run() -> None:
    workload = tiny(routing={"kind": "dirichlet", "max_over_mean": 4.0})
    travel = [ledger(workload, rank, visits(workload))["expert activations"] for rank in range(4)]
    assert sorted(travel) == [0, 0, 0, 2 * 64 * 80]
    stay = [
        ledger(workload, rank, visits(workload), lambda _: True)["expert activations"] for rank in range(4)
    ]
    assert stay == [2 * 16 * (80 + 20)] * 4


def test_the_worst_micro_batch_counts_once() -> None:
    workload = tiny(micro_batches=2)
    one = ledger(workload, 0, visits(workload))
    assert ledger(workload, 0, visits(workload, 2)) == one
    twice = ledger(workload, 0, visits(workload, 2), in_flight=2)
    assert twice["activations"] == 2 * one["activations"]
    assert twice["expert activations"] == 2 * one["expert activations"]
    assert twice["logits"] == one["logits"]


def test_recomputation_keeps_the_stream_and_one_layer() -> None:
    plain, again = tiny(), tiny(recompute="full")
    largest = max(layer_bytes(plain, layer) for layer in (0, 1))
    ends = ledger(plain, 0)["activations"] - layer_bytes(plain, 0) - layer_bytes(plain, 1)
    assert ledger(again, 0)["activations"] == 2 * 320 + largest + ends


def test_logits_in_single_precision_unless_fused() -> None:
    assert logits_bytes(tiny()) == 1600 * (2 + 12)
    assert logits_bytes(tiny(precision="tf32")) == 1600 * 16
    assert logits_bytes(tiny(kernels="fused")) == 1600 * 2
    assert logits_bytes(tiny(model={"loss_fraction": 0.5})) == 800 * 14


def test_gradients_of_activations_count_beyond_the_logits() -> None:
    assert ledger(tiny(), 0)["activation gradients"] == 0
    small = tiny(model={"vocabulary": 1})
    assert ledger(small, 0)["activation gradients"] == 2 * 2 * 16 * 40 - 16 * 14


LATENT: dict[str, Any] = {
    "layers": 4, "moe_layers": "all after 1", "experts_per_rank": None, "heads": 128, "head_dim": 128,
    "latent": {"query_rank": 1536, "kv_rank": 512, "rotary_dim": 64}, "positions": "rotary",
    "tied_embedding": False,
}  # fmt: skip
V2: dict[str, Any] = {
    "hidden": 5120,
    "experts": 160,
    "top_k": 6,
    "expert_width": 1536,
    "shared_experts": 2,
    "vocabulary": 102400,
}
V3: dict[str, Any] = {
    "hidden": 7168,
    "experts": 256,
    "top_k": 8,
    "expert_width": 2048,
    "shared_experts": 1,
    "vocabulary": 129280,
}


@pytest.mark.parametrize(
    ("row", "model", "width"),
    [
        ("deepseekv2_tp1_ep8_pp1_dp8_l4_mbc4_cef", V2, 12288),
        ("deepseekv3_l4_tp1_ep8_pp1_dp8_mbc4_cef", V3, 18432),
    ],
)
def test_measured_peak_of_megatron_on_b200(data: Path, row: str, model: dict[str, Any], width: int) -> None:
    """Within 5 % below: Megatron's workspaces and dummy gradients are not in the ledger."""
    workload = tiny(
        8, {**LATENT, **model, "ffn": {"width": width, "kind": "swiglu"}}, precision="bf16", seq_length=4096,
        micro_batch_size=1, kernels="fused", capacity_factor=1.0, distributed_optimizer=True,
    )  # fmt: skip
    layers, rank = visits(workload), 0
    parts = ledger(workload, rank, layers)
    single = parts["gradients"]  # that run keeps gradients in single precision
    arrived = sum(2 * rows * model["hidden"] for layer in layers for _, rows in layer.mine(rank))
    with (data / "steps" / "b200" / "steps.csv").open() as stream:
        measured = {line["case"]: line["peak_allocated_bytes_max_rank"] for line in csv.DictReader(stream)}
    assert 0.95 < (sum(parts.values()) + single + arrived) / float(measured[row]) < 1.0
