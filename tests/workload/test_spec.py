"""Workload files become values, short forms are written out, and every mistake is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from janus_sim.errors import InputError
from janus_sim.files import names
from janus_sim.workload.spec import ModelSpec, WorkloadSpec

MODEL: dict[str, Any] = {
    "layers": 4, "moe_layers": "every 2", "experts": 8, "top_k": 2, "hidden": 64, "ffn": {"width": 256},
    "heads": 4, "vocabulary": 100,
}  # fmt: skip
SMALL: dict[str, Any] = {"model": MODEL, "precision": "fp16", "micro_batch_size": 2, "seq_length": 8}
FOUR = ("moe_bert", "moe_gpt", "moe_transformer_xl", "pr_moe_transformer_xl")


def load(**changes: Any) -> WorkloadSpec:
    return WorkloadSpec.load({**SMALL, **changes}, where="w.yaml:")


def told(**changes: Any) -> dict[str, str]:
    """The mistakes of a file, by path."""
    with pytest.raises(InputError) as error:
        load(**changes)
    assert all(mistake.file == "w.yaml" for mistake in error.value.mistakes)
    return {mistake.path: mistake.message for mistake in error.value.mistakes}


def model(**changes: Any) -> ModelSpec:
    return load(model=MODEL | changes).model


def test_tokens_and_widths() -> None:
    spec = load()
    assert (spec.tokens, spec.element, spec.dispatch_width, spec.combine_width) == (16, 2, 2, 2)
    wide = load(precision="tf32", dispatch_bytes=1)
    assert (wide.element, wide.dispatch_width, wide.combine_width) == (4, 1, 4)


@pytest.mark.parametrize(
    ("words", "layers"),
    [
        ("all", (0, 1, 2, 3)),
        ("none", ()),
        ("every 2", (1, 3)),
        ("every 3", (2,)),
        ("all after 1", (1, 2, 3)),
        ([0, 2], (0, 2)),
    ],
)
def test_which_layers_have_experts(words: Any, layers: tuple[int, ...]) -> None:
    assert model(moe_layers=words).moe == layers


def test_experts_a_rank_grow_with_the_ranks() -> None:
    per_rank = {key: value for key, value in MODEL.items() if key != "experts"} | {"experts_per_rank": [1, 4]}
    spec = load(model=per_rank)
    assert [spec.experts(world) for world in (2, 32)] == [(2, 8), (32, 128)]
    assert load().experts(32) == (8, 8)
    assert load(parallel={"ep": 4}).ep(32) == 4


def test_a_trace_takes_the_place_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: moe_gpt\nrouting: balanced\n")
    over = {"base": str(tmp_path / "mine.yaml"), "routing": {"trace": "x.npz"}}
    assert WorkloadSpec.load(over).routing.kind == "trace"
    with pytest.raises(InputError, match="belongs to kind"):
        WorkloadSpec.load({**over, "routing": {"kind": "balanced", "trace": "x.npz"}})


def test_short_forms_of_routing() -> None:
    assert load(routing="uniform").routing.kind == "uniform"
    replay = load(routing={"trace": "x.npz", "iterations": 12}).routing
    assert (replay.kind, replay.files, replay.iterations) == ("trace", ("x.npz",), 12)
    assert load(routing={"trace": ["x.npz", "y.npz"]}).routing.files == ("x.npz", "y.npz")
    assert load().routing.kind == "balanced"


def test_all_mistakes_at_once() -> None:
    assert told(precision="fp17", micro_batch_size=0, model=MODEL | {"hiden": 1}) == {
        "precision": '"fp17" is not known; write "fp16", "bf16", "tf32" or "fp32"; did you mean "fp16"?',
        "micro_batch_size": "0 is wrong; write a number greater than or equal to 1",
        "model.hiden": 'unknown; did you mean "hidden"?',
    }


def test_contradictions_of_the_model() -> None:
    wrong = MODEL | {"moe_layers": "evry 2", "heads": 5, "experts_per_rank": 1}
    assert set(told(model=wrong)) == {"model.moe_layers", "model.heads"}
    assert "either experts or" in told(model=MODEL | {"experts_per_rank": 1})["model.experts"]
    assert "has 3 numbers, but there are 2" in told(model=MODEL | {"experts": [8, 8, 8]})["model.experts"]
    assert "0 to 3, ascending" in told(model=MODEL | {"moe_layers": [3, 4]})["model.moe_layers"]
    assert "3 does not divide 4 heads" in told(model=MODEL | {"kv_heads": 3})["model.kv_heads"]


def test_more_choices_than_experts() -> None:
    assert told(model=MODEL | {"top_k": 9}) == {"model.top_k": "9 is more than the 8 experts of a layer"}


@pytest.mark.parametrize("degree", ["tp", "pp", "cp", "etp"])
def test_what_is_not_simulated_yet_is_refused(degree: str) -> None:
    assert told(parallel={degree: 2}) == {f"parallel.{degree}": "2 is not simulated yet; write 1"}


@pytest.mark.parametrize(
    ("routing", "path"),
    [
        ({"kind": "balanced", "exponent": 1.0}, "routing.exponent"),
        ({"kind": "zipf", "trace": "x.npz"}, "routing.trace"),
        ({"kind": "trace"}, "routing.trace"),
        ({"kind": "zipf", "drift": 1.5}, "routing.drift"),
        ({"kind": "uniform", "correlation": 0.5}, "routing.correlation"),
        ({"kind": "dirichlet", "max_over_mean": 0.5}, "routing.max_over_mean"),
        ({"kind": "zpif"}, "routing.kind"),
    ],
)
def test_mistakes_of_routing(routing: dict[str, Any], path: str) -> None:
    assert set(told(routing=routing)) == {path}


def test_what_does_not_fit_the_ranks() -> None:
    fine = load(parallel={"ep": 4})
    assert fine.mistakes("w.yaml:", world=32) == []
    (mistake,) = fine.mistakes("w.yaml:", world=6)
    assert (mistake.path, mistake.message) == ("parallel.ep", "4 does not divide the 6 ranks of the topology")
    (mistake,) = load().mistakes("w.yaml: workload", world=16)
    assert (mistake.path, mistake.message) == (
        "workload.model.experts", "8 experts cannot be shared evenly by 16 ranks",
    )  # fmt: skip


def test_top_k_against_experts_a_rank() -> None:
    (mistake,) = WorkloadSpec.load("moe_gpt").mistakes(world=2)
    assert mistake.message == "4 is more than the 2 experts of a layer"


@pytest.mark.parametrize("name", names("workloads"))
def test_a_preset_names_its_source_and_what_is_assumed(name: str) -> None:
    spec = WorkloadSpec.load(name)
    assert spec.name == name
    assert "ssumed" in spec.source
    world = 64 if name.endswith("_layer") else 16 if name == "smartmoe_gpt" else 32
    assert spec.mistakes(world=world, width=8) == []


@pytest.mark.parametrize("name", FOUR)
def test_the_four_workloads_are_frozen(name: str) -> None:
    spec = WorkloadSpec.load(name)
    assert "our reading" in spec.source.lower()
    assert (spec.kernels, spec.recompute, spec.optimizer, spec.micro_batches) == ("eager", "none", "adam", 1)
    assert (spec.capacity_factor, spec.routing.kind, spec.parallel.ep) == (1.0, "balanced", "all")
    assert spec.model.moe == (1, 3, 5, 7, 9, 11)
    assert spec.model.heads == spec.model.hidden // 64
    assert spec.model.ffn.width == 4 * spec.model.hidden


@pytest.mark.parametrize(
    ("name", "machines", "expected"),
    [
        ("moe_bert", 4, 5.33), ("moe_gpt", 4, 5.33), ("moe_transformer_xl", 4, 16.0),
        ("moe_bert", 2, 10.67), ("moe_gpt", 2, 10.67), ("moe_transformer_xl", 2, 32.0),
    ],
)  # fmt: skip
def test_r_of_the_workloads(name: str, machines: int, expected: float) -> None:
    spec = WorkloadSpec.load(name)
    experts_per_rank = spec.experts(8 * machines)[0] // (8 * machines)
    r = spec.tokens * spec.model.top_k / (4 * machines * spec.model.hidden * experts_per_rank)
    assert r == pytest.approx(expected, rel=1e-3)


def test_the_pyramid() -> None:
    assert WorkloadSpec.load("pr_moe_transformer_xl").experts(32) == (32, 32, 32, 64, 64, 128)
