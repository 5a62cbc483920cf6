"""An experiment whose trace is absent runs another one, and says so; one whose trace is there does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from janus_sim import sweep
from janus_sim.errors import InputError
from janus_sim.scenario import Experiment
from janus_sim.traces import Block, TraceInfo, write_trace
from tests.cli.conftest import TINY, Run

FIRST = TINY.replace("name: tiny\n", "source: the lab\notherwise: other.yaml\n", 1)


def trace(path: Path, hot: int) -> None:
    """Write one step of 32 tokens a rank, of which so many choose the first of four experts."""
    rows = np.array([[hot, 32 - hot, 0, 0]] * 2)
    write_trace(path, TraceInfo(model="tiny", top_k=1), [Block(0, 0, 0, rows)])


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """An experiment on first.parquet, which is absent, and beside it one on other.parquet, which is there."""
    for name, text in (("first", FIRST), ("other", TINY)):
        routing = f"  routing: {{kind: trace, trace: {name}.parquet}}\n"
        (tmp_path / f"{name}.yaml").write_text(text.replace("  precision", f"{routing}  precision"))
    trace(tmp_path / "other.parquet", hot=20)
    return tmp_path / "first.yaml"


def test_the_other_one_is_run_and_said_so(janus_sim: Run, first: Path) -> None:
    told = "first: first.parquet not found; runs other.yaml instead. What is missing: the lab"
    done = janus_sim("run", first, "policies=expert_centric", "--quiet", "--no-figures", "--out", "out")
    assert (done.returncode, done.stderr) == (0, told + "\n")
    origin = json.loads((first.parent / "out" / "provenance.json").read_text())
    assert (origin["instead"], origin["experiment"]) == (told, "tiny")
    assert set(origin["inputs"]) >= {"experiments/other.yaml", "traces/other.parquet"}
    assert janus_sim("run", first, "--dry-run").stderr == told + "\n"


def test_where_the_trace_is_there_it_is_run(first: Path, tmp_path: Path) -> None:
    instead = Experiment.load(first)
    trace(tmp_path / "first.parquet", hot=20)
    found = Experiment.load(first)
    assert (found.name, found.instead) == ("first", "")
    assert Experiment.load(tmp_path / "other.yaml").scenarios()[0].key() == instead.scenarios()[0].key()


def test_the_trace_that_was_used_decides_the_key(first: Path, tmp_path: Path) -> None:
    trace(tmp_path / "first.parquet", hot=20)
    keys = [Experiment.load(first).scenarios()[0].key()]
    trace(tmp_path / "first.parquet", hot=21)
    keys.append(Experiment.load(first).scenarios()[0].key())
    (tmp_path / "first.parquet").unlink()
    keys.append(Experiment.load(first).scenarios()[0].key())
    assert len(set(keys)) == 3


def test_from_python_it_is_a_warning(first: Path) -> None:
    with pytest.warns(UserWarning, match="runs other.yaml instead"):
        sweep(first, changes=["policies=expert_centric"])


@pytest.mark.parametrize("change", ["workload.routing.trace=mine.parquet", "workload.routing=balanced"])
def test_nothing_stands_in_for_what_the_user_asks_for(first: Path, change: str) -> None:
    assert Experiment.load(first, [change]).instead == ""


def test_two_absent_traces_are_an_error_and_no_circle(first: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("otherwise: first.yaml\n" + other.read_text())
    (tmp_path / "other.parquet").unlink()
    with pytest.raises(InputError, match=r'"other\.parquet": no such file'):
        sweep(Experiment.load(first, ["policies=expert_centric"]))


@pytest.mark.parametrize("text", ["otherwise: [a]", "otherwise: tiny.yaml"])
def test_otherwise_stands_beside_a_trace(tiny: Path, text: str) -> None:
    tiny.write_text(f"{TINY}\n{text}\n")
    with pytest.raises(InputError, match=r"otherwise  stands in for an absent workload\.routing\.trace"):
        Experiment.load(tiny)


def test_real_routing_without_the_public_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a fresh clone: our own trace, in the words that tell where the other one is."""
    monkeypatch.delenv("JANUS_SIM_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    found = Experiment.load("real_routing")
    assert found.name == "small_moe_routing"
    assert "runs small_moe_routing instead" in found.instead
    assert "github.com/thu-pacman/SmartMoE-AE" in found.instead
    assert any("traces/small_moe_unbalanced.parquet" in name for name in found.scenarios()[-1].inputs())
