"""A trace fitted to other ranks, tokens, micro-batches and steps: the shares of the experts stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import Block, RoutingTrace, TraceInfo, counts_of, open_trace, write_trace
from janus_sim.workload import Workload
from janus_sim.workload.fitted import Fitted, shared_out

SKEWED = np.array([[8, 4, 2, 2], [4, 8, 4, 0]])  # 2 ranks, 8 tokens, top-2


def fitted(counts: Any, world: int, tokens: int, length: int = 1, batches: int = 1, k: int = 2) -> Fitted:
    array = np.asarray(counts)
    return Fitted(RoutingTrace.of(array[None, None, None]), world, tokens, k, length, batches)


def test_more_ranks_take_the_shares_of_those_recorded() -> None:
    assert fitted(SKEWED, 4, 8).at(0, 0, 0).tolist() == [SKEWED[0].tolist()] * 2 + [SKEWED[1].tolist()] * 2
    assert fitted(SKEWED, 4, 4).at(0, 0, 0)[0].tolist() == [4, 2, 1, 1]


def test_fewer_ranks_take_the_sum_of_several() -> None:
    assert fitted(SKEWED, 1, 16).at(0, 0, 0).tolist() == [[12, 12, 6, 2]]
    three = np.vstack([SKEWED, [[0, 0, 8, 8]]])
    assert fitted(three, 2, 12).at(0, 0, 0).tolist() == [[10, 8, 4, 2], [2, 4, 10, 8]]


def test_micro_batches_come_again_with_the_ranks_turned() -> None:
    turned = fitted(SKEWED, 2, 8, batches=3)
    assert turned.at(0, 1, 0).tolist() == SKEWED[::-1].tolist()
    assert turned.at(0, 2, 0).tolist() == SKEWED.tolist()


def test_steps_are_held_or_skipped() -> None:
    trace = RoutingTrace.of(np.stack([SKEWED, SKEWED[::-1]])[:, None, None], iterations=[10, 20])
    longer = Fitted(trace, 2, 8, 2, length=4, batches=1)
    assert longer.info.steps == (10, 10, 20, 20)
    assert longer.at(1, 0, 0).tolist() == SKEWED.tolist()
    assert Fitted(trace, 2, 8, 2, length=1, batches=1).info.steps == (10,)


def test_choices_are_whole_tokens_of_the_trace(tmp_path: Path) -> None:
    """Half the tokens on twice the ranks: each token recorded is taken once."""
    rng = np.random.default_rng(1)
    choices = np.argsort(rng.random((2, 8, 4)), axis=2)[:, :, :2].astype(np.int16)
    block = Block(0, 0, 0, counts_of(choices, 4), choices)
    write_trace(tmp_path / "t.parquet", TraceInfo(model="x", top_k=2), [block])
    trace = open_trace(tmp_path / "t.parquet")
    spread = Fitted(trace, 4, 4, 2, 1, 1)
    table = spread.choices_at(0, 0, 0)
    assert table is not None
    assert table.tolist() == choices.reshape(4, 4, 2).tolist()
    assert spread.at(0, 0, 0).sum(axis=0).tolist() == block.counts.sum(axis=0).tolist()
    doubled = Fitted(trace, 2, 16, 2, 1, 1)
    assert doubled.at(0, 0, 0).tolist() == (2 * block.counts).tolist()


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3),
    st.integers(0, 2**31),
)  # fmt: skip
def test_shares_stay_but_for_whole_rows(
    ranks: int, world: int, tokens: int, new: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    experts = 5
    picks = np.argsort(rng.random((ranks, tokens, experts)) ** np.array([1, 2, 3, 1, 1]), axis=2)[:, :, :k]
    counts = counts_of(picks, experts)
    found = fitted(counts, world, new, k=k).at(0, 0, 0)
    assert (found.sum(axis=1) == new * k).all()
    assert found.min() >= 0
    assert found.max() <= new
    wanted = counts.sum(axis=0) / counts.sum()
    assert np.abs(found.sum(axis=0) / found.sum() - wanted).max() <= 1 / (new * k)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(any), st.integers(1, 30))
def test_largest_remainders(weights: list[int], rows: int) -> None:
    found = shared_out(np.array([weights]), rows, rows)[0]
    assert found.sum() == rows
    assert np.abs(found - rows * np.array(weights) / sum(weights)).max() < 1


# ---------------------------------------------------------------- as a knob of a workload

MODEL = {
    "layers": 2, "moe_layers": "every 2", "experts": 4, "top_k": 2, "hidden": 64, "ffn": {"width": 256},
    "heads": 4, "vocabulary": 100,
}  # fmt: skip


def workload(trace: Path, world: int = 4, **routing: Any) -> Workload:
    spec = {"model": MODEL, "precision": "fp16", "micro_batch_size": 1, "seq_length": 16,
            "routing": {"trace": str(trace), **routing}}  # fmt: skip
    return Workload.load(spec, world)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    info = TraceInfo(model="tiny", top_k=2, notes=("imported",))
    blocks = (Block(step, 0, 0, SKEWED) for step in (1, 2, 3))
    write_trace(tmp_path / "t.parquet", info, blocks)
    return tmp_path / "t.parquet"


def test_without_the_knob_the_mistakes_name_it(trace: Path) -> None:
    with pytest.raises(InputError) as error:
        workload(trace)
    told = str(error.value)
    assert "has 2 ranks; write a topology of 2 GPUs, not 4, or fit: resample" in told
    assert "its ranks route 16 rows, the workload 32 (tokens x top_k)" in told
    assert told.count("or fit: resample") == 2


def test_with_the_knob_it_is_replayed_and_says_what_was_done(trace: Path) -> None:
    made = workload(trace, fit="resample", iterations=3)
    assert made.steps == 3
    assert made.trace.at(0, 0, 0).tolist() == [[16, 8, 4, 4]] * 2 + [[8, 16, 8, 0]] * 2
    assert made.trace.info.notes == (  # type: ignore[attr-defined]
        "imported", "fit: resample made 4 ranks from 2, 32 rows of a rank from 16",
    )  # fmt: skip
    longer = workload(trace, fit="resample", iterations=5)
    assert longer.steps == 5
    assert "5 steps from 3" in longer.trace.info.notes[-1]  # type: ignore[attr-defined]


def test_another_model_is_not_fitted(trace: Path, tmp_path: Path) -> None:
    info = TraceInfo(model="tiny", top_k=1)
    write_trace(tmp_path / "u.parquet", info, [Block(1, 0, 0, np.ones((2, 8), dtype=int))])
    with pytest.raises(InputError) as error:
        workload(tmp_path / "u.parquet", fit="resample")
    assert "has 1 MoE layers of 8 experts; the model has 1 of 4" in str(error.value)
    assert "is of top-1; write top_k: 1, not 2" in str(error.value)
    with pytest.raises(InputError, match='belongs to kind "trace", not to "uniform"'):
        workload(trace, kind="uniform", fit="resample")


def test_provenance_tells_what_was_done(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from janus_sim.cli import main

    file, out = trace.with_name("x.yaml"), trace.with_name("out")
    routing = {"trace": "t.parquet", "fit": "resample"}
    content = {"name": "x", "topology": "two_gpus", "policies": {"expert_centric": {}},
               "workload": {"model": MODEL, "precision": "fp16", "micro_batch_size": 1, "seq_length": 16,
                            "routing": routing, "parallel": {"ep_order": "across"}}}  # fmt: skip
    file.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as end:
        main(["run", str(file), "--out", str(out), "--no-figures"])
    assert not end.value.code
    done = "fit: resample made 32 rows of a rank from 16"
    assert f"routing: {done}" in capsys.readouterr().err
    told = json.loads((out / "provenance.json").read_text())["routing"]
    assert list(told.values()) == [["imported", done]]
