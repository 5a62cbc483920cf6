"""How sure a speedup is, by the installed command, in eight draws of a small case."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Run

BLOCK = """
vary:
  workload.precision: [fp16, tf32]
uncertainty:
  draws: 8
  best_of: precision
  topology.machine.nics.bandwidth: {uniform: [40 Gbit/s, 100 Gbit/s], name: NIC}
  topology.transfers.pull.rdma.0.start: {log_uniform: [20 us, 200 us], name: pull latency}
  workload.kernels: {choice: [eager, fused]}
  topology.communication.sms.all_to_all: [0, 16]
"""


@pytest.fixture
def unsure(tiny: Path) -> Path:
    """A small experiment whose constants are uncertain."""
    tiny.write_text(tiny.read_text().replace("  janus: {}\n", "") + BLOCK)
    return tiny


def test_intervals_probabilities_and_a_tornado(janus_sim: Run, unsure: Path) -> None:
    done = janus_sim("uncertainty", unsure, "--out", "sure", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["draws"] == 8
    rows = told["intervals"]
    assert [row["precision"] for row in rows] == ["fp16", "tf32", "best of 2"]
    assert all(row["p5"] <= row["median"] <= row["p95"] for row in rows)
    assert rows[2]["p95"] >= max(rows[0]["p95"], rows[1]["p95"])
    beats = {(row["precision"], row["policy"], row["other"]): row["share"] for row in told["beats"]}
    assert beats["fp16", "data_centric", "expert_centric"] == rows[0]["beats_baseline"]
    assert {row["range"] for row in told["tornado"]} == {"NIC", "pull latency", "kernels", "all to all"}
    folder = unsure.parent / "sure"
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "draws.csv",
        "intervals.csv",
        "beats.csv",
        "tornado.csv",
        "tornado.png",
        "provenance.json",
    }
    draws = pd.read_csv(folder / "draws.csv")
    assert len(draws) == (8 + 1) * 4
    drawn = draws[draws["uncertainty.draw"] >= 0].drop_duplicates("uncertainty.draw")
    assert sorted((drawn["quantile: NIC"] * 8).astype(int)) == list(range(8))
    assert drawn["drawn: NIC"].between(5e9, 12.5e9).all()
    assert drawn["drawn: all to all"].isin(range(17)).all()
    assert sorted(drawn["drawn: kernels"]) == ["eager"] * 4 + ["fused"] * 4


def test_the_same_draws_in_two_processes(janus_sim: Run, unsure: Path) -> None:
    for jobs in (1, 2):
        done = janus_sim("uncertainty", unsure, "--draws", 2, "--jobs", jobs, "--out", f"jobs{jobs}")
        assert done.returncode == 0, done.stderr
        assert "what it hangs on: best of 2" in done.stdout
        assert "100%" in done.stdout or "0%" in done.stdout
    one, two = (unsure.parent / f"jobs{jobs}" for jobs in (1, 2))
    for name in ("draws.csv", "intervals.csv", "tornado.csv", "provenance.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("topology.machine.host.launch: [8 us, 3 us]", "its ends are swapped; write [3 us, 8 us]"),
        ("topology.machine.host.launch: [3 us, 8 GB]", "are not ends of one unit"),
        ("topology.machine.host.launch: [3 us, 3 us]", "its ends are equal"),
        ("topology.machine.host.launch: 3 us", "is no range; write [low, high]"),
        ("topologie.machine.host.launch: [3 us, 8 us]", 'leads nowhere; did you mean "topology"?'),
        ("topology.machine.host.launsh: [3 us, 8 us]", 'unknown; did you mean "launch"?'),
        ("topology.machine.host.launch: [3, 8]", "3 has no unit"),
        ("topology.machine.nics.efficiency: [0.5, 1.5]", "nics.efficiency"),
        ("topology.machine.nics.efficiency: {unifrom: [0.5, 0.9]}", 'did you mean "uniform"?'),
        ("workload.precision: {choice: [fp16, tf32]}", "is an axis of the grid too"),
        ("topology.transfers.pull.rdma.7.start: [20 us, 200 us]", "has no part '7'"),
    ],
)
def test_a_wrong_range_is_refused_at_once(line: str, said: str, janus_sim: Run, unsure: Path) -> None:
    unsure.write_text(f"{unsure.read_text()}  {line}\n")
    done = janus_sim("uncertainty", unsure, "--out", "sure")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (unsure.parent / "sure").exists()


def test_an_experiment_without_ranges_or_baseline_is_told(janus_sim: Run, tiny: Path) -> None:
    done = janus_sim("uncertainty", tiny)
    assert done.returncode == 2
    assert "names no value" in done.stderr
    tiny.write_text(tiny.read_text().replace("baseline: expert_centric\n", ""))
    assert "baseline" in janus_sim("uncertainty", tiny).stderr
