"""More of a trace: its popularity, drift and correlations come back, at any size."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import Chosen, Recorded, RoutingTrace, open_trace, read_traces, write_trace
from janus_sim.traces.distance import character
from janus_sim.traces.synthesize import synthesized, whole

OWN = Path(__file__).parents[2] / "workloads" / "traces"


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 4), st.integers(1, 50))
@settings(max_examples=40)
def test_whole_rows_add_up_and_respect_the_limit(seed: int, experts: int, top_k: int, tokens: int) -> None:
    weights = np.random.default_rng(seed).exponential(size=(3, experts)) ** 4
    top_k = min(top_k, experts)
    counts = whole(weights, tokens * top_k, tokens)
    assert (counts.sum(axis=1) == tokens * top_k).all()
    assert counts.min() >= 0
    assert counts.max() <= tokens


def test_what_stands_still_is_made_again_as_it_was(tmp_path: Path) -> None:
    rows = np.array([[[6, 2, 0, 0], [4, 2, 1, 1]]])
    trace = RoutingTrace.of(np.broadcast_to(rows, (5, 1, 1, 2, 4)))
    synthesized(trace, tmp_path / "t.parquet", steps=3)
    made = open_trace(tmp_path / "t.parquet")
    assert [made.at(step, 0, 0).tolist() for step in range(3)] == [rows[0].tolist()] * 3


def test_too_short_a_trace_teaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 3 moments"):
        synthesized(RoutingTrace.of(np.ones((2, 1, 1, 1, 4))), tmp_path / "t.parquet")


def part(trace: Recorded, steps: np.ndarray[Any, Any]) -> Chosen:
    """Return some steps of a trace."""
    return Chosen((trace,), tuple((0, step) for step in steps.tolist()))


def spread(trace: Recorded) -> np.ndarray[Any, Any]:
    """Return standard errors of a trace's character, its tenths left out in turn (a block jackknife)."""
    steps = np.arange(trace.steps)
    without = [np.setdiff1d(steps, tenth) for tenth in np.array_split(steps, 10)]
    found = np.array([astuple(character(part(trace, some))) for some in without])
    return np.asarray(np.sqrt(9 / 10 * ((found - found.mean(axis=0)) ** 2).sum(axis=0)))


def near(real: Recorded, made: Recorded) -> None:
    """Hold what was made to three standard errors of what was recorded, in each number."""
    before, after = (np.array(astuple(character(trace))) for trace in (real, made))
    assert (abs(after - before) <= 3 * spread(real)).all(), (before, after)


def peaks(trace: Recorded) -> np.ndarray[Any, Any]:
    """Return max / mean over the experts at each step, meaned over layers."""
    layers = range(len(trace.experts))
    rows = [[trace.at(step, 0, moe).sum(axis=0) for moe in layers] for step in range(trace.steps)]
    return np.array([np.mean([one.max() / one.mean() for one in step]) for step in rows])


def test_a_trace_made_from_smartmoes_is_near_it(data: Path, tmp_path: Path) -> None:
    real = read_traces(sorted((data / "routing" / "smartmoe").glob("*.npz")), spread=100)
    synthesized(real, tmp_path / "t.parquet")
    near(real, open_trace(tmp_path / "t.parquet"))


@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_a_trace_made_from_our_own_is_near_it(name: str, tmp_path: Path) -> None:
    real = open_trace(OWN / f"small_moe_{name}.parquet")
    synthesized(real, tmp_path / "t.parquet")
    near(real, open_trace(tmp_path / "t.parquet"))


def test_a_start_up_comes_back_as_a_start_up(tmp_path: Path) -> None:
    """Each fifth of the training is as uneven as it was, within what its steps differ from each other."""
    real = open_trace(OWN / "small_moe_unbalanced.parquet")
    synthesized(real, tmp_path / "t.parquet", steps=50)
    recorded = peaks(real).reshape(5, 20)
    made = peaks(open_trace(tmp_path / "t.parquet")).reshape(5, 10)
    assert recorded[0].mean() - recorded[4].mean() > 3 * recorded[4].std()
    assert (abs(made.mean(axis=1) - recorded.mean(axis=1)) < recorded.std(axis=1)).all()


def wandering(slow: float, steps: int = 200) -> RoutingTrace:
    """Return a trace of one layer whose loads follow z' = slow z + u."""
    rng, z = np.random.default_rng(1), np.zeros((steps, 8))
    for step in range(1, steps):
        z[step] = slow * z[step - 1] + 0.3 * rng.standard_normal(8)
    shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return RoutingTrace.of(whole(shares, 10**6, 10**6).reshape(steps, 1, 1, 1, 8))


@pytest.mark.parametrize("slow", [0.0, 0.5, 0.9])
def test_drift_comes_back(slow: float, tmp_path: Path) -> None:
    """Within three standard errors of the autocorrelation of two samples of 200 (Bartlett: (1 - r^2) / n)."""
    real = wandering(slow)
    synthesized(real, tmp_path / "t.parquet")
    before, after = (character(trace).autocorrelation for trace in (real, open_trace(tmp_path / "t.parquet")))
    assert after == pytest.approx(before, abs=3 * (2 * (1 - slow**2) / 200) ** 0.5)


def moving(steps: int = 40) -> RoutingTrace:
    """Return a trace whose load wanders: two layers, four ranks of 400 rows, eight experts."""
    rng, z, counts = np.random.default_rng(2), np.zeros((2, 8)), []
    for _ in range(steps):
        z = 0.8 * z + 0.3 * rng.standard_normal((2, 8))
        shares = np.exp(z + np.linspace(1, 0, 8))[:, None] * rng.uniform(0.8, 1.2, (2, 4, 8))
        counts.append([whole(layer, 400, 200) for layer in shares])
    return RoutingTrace.of(np.array(counts)[:, None])


def test_any_size_can_be_made_and_the_seed_decides(tmp_path: Path) -> None:
    real = moving()
    paths = [tmp_path / f"{place}.parquet" for place in range(3)]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        synthesized(real, path, steps=4, ranks=7, seed=seed)
    info = open_trace(paths[0]).info
    assert (info.ranks, info.steps, info.rows, info.experts) == (7, (0, 1, 2, 3), (400, 400), (8, 8))
    assert info.notes[-1] == "synthesized from 40 steps and 4 ranks, seed 1"
    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()
    with pytest.raises(InputError, match="does not tell its top_k"):
        synthesized(real, tmp_path / "u.parquet", tokens=10)


def test_the_command_prints_the_distance(tmp_path: Path) -> None:
    real, out = tmp_path / "real.parquet", tmp_path / "made.parquet"
    write_trace(real, replace(moving().info, top_k=2), moving().blocks())
    command = [sys.executable, "-m", "janus_sim", "trace", "synthesize", str(real), "-o", str(out)]
    done = subprocess.run([*command, "--tokens", "1000"], capture_output=True, text=True, check=True)
    assert open_trace(out).info.rows == (2000, 2000)
    wanted = character(open_trace(real)).gini, character(open_trace(out)).gini
    row = re.search(r"gini\W+(\S+)\W+(\S+)", done.stdout)
    assert row is not None
    assert row.groups() == tuple(f"{value:.3f}" for value in wanted)
