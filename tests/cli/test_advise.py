"""Which paradigm for this model on this cluster, by the installed command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

MODEL = """
name: small
model:
  layers: 4
  moe_layers: every 2
  experts_per_rank: 2
  top_k: 1
  hidden: 64
  ffn: {width: 256}
  heads: 4
  vocabulary: 100
precision: fp16
micro_batch_size: 4
seq_length: 512
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A workload that takes no time."""
    path = tmp_path / "small.yaml"
    path.write_text(MODEL)
    return path


def test_the_answer_has_layers_bounds_memory_flips_and_origins(janus_sim: Run, small: Path) -> None:
    done = janus_sim("advise", "--topology", "two_gpus", "--workload", small, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    for words in (
        "small (fp16, 4 sequences a GPU) on two_gpus, 2 GPUs",
        "over 8 draws of the uncertain constants",
        "layer by layer",
        "what bounds the advised step",
        "memory of the fullest GPU",
        "fits",
        "other policies, for comparison",
        "  least_loaded: ",
        "where the answer flips",
        "micro_batch_size: ",
        "NIC bandwidth: ",
        "routing max/mean: ",
        "data sheet ",
        "calibrated ",
        "reasoned [R] ",
        "as your file says",
    ):
        assert words in done.stdout, done.stdout


def test_the_same_answer_from_one_and_two_processes(janus_sim: Run, small: Path) -> None:
    told = []
    for jobs in (1, 2):
        done = janus_sim(
            "advise", "-t", "two_gpus", "-w", small, "-j", jobs, "--out", f"jobs{jobs}", "--format", "json"
        )
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    kept = [json.loads((small.parent / f"jobs{jobs}" / "advice.json").read_text()) for jobs in (1, 2)]
    assert kept == told
    runs = {path: path.stat().st_mtime_ns for path in (small.parent / "jobs1" / "runs").iterdir()}
    again = janus_sim("advise", "-t", "two_gpus", "-w", small, "--out", "jobs1", "--format", "json")
    assert json.loads(again.stdout) == told[0]
    assert {path: path.stat().st_mtime_ns for path in runs} == runs  # nothing was computed again
    advice = told[0]
    assert advice["verdict"] in {"expert_centric", "data_centric", "mixed", "too close to call"}
    assert (advice["verdict"] == "too close to call") == (advice["low"] <= 1 <= advice["high"])
    assert [layer["layer"] for layer in advice["layers"]] == [1, 3]
    assert [layer["experts"] for layer in advice["layers"]] == [4, 4]
    seconds = advice["seconds"]
    assert seconds["advised"] <= min(seconds["expert_centric"], seconds["data_centric"])
    assert sum(advice["bound"].values()) == pytest.approx(seconds["advised"], rel=1e-9)


def test_changes_are_heard_and_flips_are_where_both_take_as_long(janus_sim: Run, small: Path) -> None:
    """Also where a group has a GPU of each machine, which must be known before anything is run."""
    changes = ("workload.micro_batch_size=2", "workload.parallel={ep: 2, ep_order: across}")
    done = janus_sim("advise", "-t", "two_gpus", "-w", small, *changes, "-j", 1, "--format", "json")
    assert done.returncode == 0, done.stderr
    advice = json.loads(done.stdout)
    assert advice["micro_batch_size"] == 2
    for crossing in advice["crossovers"]:
        low, now, high = crossing["ratios"]
        assert len(crossing["at"]) == ((low > 1) != (now > 1)) + ((now > 1) != (high > 1))
        assert all(crossing["low"] <= at <= crossing["high"] for at in crossing["at"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-t", "a100_4x9", "-w", "moe_bert"), 'did you mean "a100_4x8"?'),
        (("-t", "two_gpus", "-w", "moe_bert", "workload.micro_batch_size=1,2"), "is an axis"),
        (("-t", "two_gpus", "-w", "moe_bert", "workload.top_k=9"), "top_k"),
        (("-t", "two_gpus", "-w", "moe_bert", "workload.model.moe_layers=[]"), "moe_layer"),
    ],
)
def test_bad_input_is_told(words: tuple[str, ...], said: str, janus_sim: Run) -> None:
    done = janus_sim("advise", *words)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr.replace("MoE layer", "moe_layer")
    assert "Traceback" not in done.stderr
