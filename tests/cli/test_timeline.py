"""Chrome traces of a run, by the installed command, read back by a strict parser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.results import chrome


@pytest.fixture
def ran(ran_once: Callable[..., Path], tiny: Path) -> Path:
    """The folder of two steps of a small run."""
    return Path(shutil.copytree(ran_once("steps=2"), tiny.parent / "ran"))


def test_each_rank_of_each_scenario_has_a_trace_that_parses(janus_sim: Run, ran: Path) -> None:
    done = janus_sim("timeline", "ran", "--ranks", "0,1")
    assert done.returncode == 0, done.stderr
    paths = [ran.parent / line for line in done.stdout.splitlines()]
    assert len(paths) == 3 * 2
    for path in paths:
        phases = chrome.read(path)
        assert [event["name"] for event in phases["X"] if event["cat"] == "gpu_user_annotation"] == [
            "ProfilerStep#0"
        ]


def test_a_run_writes_the_same_traces_itself(janus_sim: Run, tiny: Path) -> None:
    asked = ("--timeline", "traces", "--ranks", "0,1", "--steps", "2")
    done = janus_sim("run", tiny, "steps=2", "--out", "ran", "--no-figures", *asked)
    assert done.returncode == 0, done.stderr
    assert "6 timelines in traces" in done.stderr
    assert janus_sim("timeline", "ran", "--ranks", "0,1", "--steps", "2").returncode == 0
    for path in (tiny.parent / "traces").rglob("*.json"):
        same = tiny.parent / "ran" / "timeline" / path.relative_to(tiny.parent / "traces")
        assert path.read_bytes() == same.read_bytes()
    alone = janus_sim("run", tiny, "--ranks", "0")
    assert (alone.returncode, "belongs to --timeline" in alone.stderr) == (2, True)
    beyond = janus_sim("run", tiny, "--out", "not", "--timeline", "not", "--ranks", "7", "--steps", "2")
    assert beyond.returncode == 2
    assert "--ranks  there is no rank 7; write ranks from 0 to 1" in beyond.stderr
    assert "--steps  2 are more than expert_centric has: 1 step; write 1 at most" in beyond.stderr
    assert not (tiny.parent / "not").exists()


def test_names_are_those_of_a_real_trace(janus_sim: Run, ran: Path) -> None:
    done = janus_sim("timeline", "ran", "expert_centric", "data_centric", "--out", "there", "--steps", 2)
    assert done.returncode == 0, done.stderr
    tokens = chrome.read(ran.parent / "there" / "expert_centric" / "rank0.pt.trace.json")
    sent = [event for event in tokens["X"] if event["name"] == "ncclDevKernel_SendRecv"]
    assert len(sent) == 2 * 4
    assert all(event["cat"] == "kernel" and event["args"]["stream"] == event["tid"] for event in sent)
    assert sent[0]["args"]["Collective name"] == "all_to_allv"
    assert sent[0]["args"]["dtype"] == "Half"
    reduced = [event for event in tokens["X"] if event["name"] == "ncclDevKernel_AllReduce_Sum_f16_RING_LL"]
    assert reduced
    assert {event["tid"] for event in sent}.isdisjoint({event["tid"] for event in reduced})
    assert tokens["s"], "causes are drawn"
    assert {event["name"] for event in tokens["C"]} >= {"m0.nic0.out utilization", "m0.nic0.in utilization"}
    steps = [event for event in tokens["X"] if event["name"].startswith("ProfilerStep")]
    assert [event["name"] for event in steps] == ["ProfilerStep#0", "ProfilerStep#1"]
    experts = chrome.read(ran.parent / "there" / "data_centric" / "rank0.pt.trace.json")
    copies = [event for event in experts["X"] if event["cat"] == "gpu_memcpy"]
    assert {event["pid"] for event in copies} == {0, 100_000}
    assert any(event["name"].startswith("Memcpy HtoD (Pinned -> Device): ") for event in copies)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ranks", "0,2"), "there is no rank 2; write ranks from 0 to 1"),
        (("--ranks", "all"), "is no list of ranks"),
        (("--steps", "3"), "3 are more than expert_centric has: 2 steps; write 2 at most"),
        (("--out", "tiny.yaml"), "is a file; write a folder after --out"),
        (("nobody",), "no scenario and no policy is called"),
    ],
)
def test_what_is_not_there_is_told(words: tuple[str, ...], said: str, janus_sim: Run, ran: Path) -> None:
    done = janus_sim("timeline", "ran", *words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--ranks", "0,2"), "there is no rank 2; write ranks from 0 to 1"),
        (("--steps", "2"), "2 are more than expert_centric has: 1 step; write 1 at most"),
        (("--details", "2"), "of 3 runs 2 keep their spans; write --details 3"),
        (("alike=machines", "--ranks", "1"), "there is no rank 1; write ranks from 0 to 0"),
    ],
)
def test_a_run_that_will_not_have_the_timelines_asked_for_does_not_begin(
    dry: tuple[str, ...], asked: tuple[str, ...], said: str, janus_sim: Run, tiny: Path
) -> None:
    done = janus_sim("run", tiny, "--timeline", "traces", *asked, *dry)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert [path.name for path in tiny.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("target", ["tiny.yaml", "tiny.yaml/deep"])
def test_targets_that_cannot_be_written_are_told_before_anything_runs(
    target: str, janus_sim: Run, tiny: Path
) -> None:
    for words in (("--out", target), ("--timeline", target), ("--out", target, "--dry-run")):
        done = janus_sim("run", tiny, *words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert f"{target}:" in done.stderr
        assert words[0] in done.stderr
