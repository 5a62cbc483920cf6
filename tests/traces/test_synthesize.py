"""More of a trace: its popularity, drift and correlations come back, at any size."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import Recorded, RoutingTrace, open_trace, read_traces, write_trace
from janus_sim.traces.distance import character
from janus_sim.traces.synthesize import Learned, synthesized, whole

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


def test_drift_is_learnt() -> None:
    """Loads that follow z' = 0.9 z + u come back with r near 0.9, and unrelated ones with r near 0."""
    rng, steps = np.random.default_rng(1), 400
    for slow, low, high in ((0.9, 0.85, 0.95), (0.0, 0.0, 0.1)):
        z = np.zeros((steps, 8))
        for step in range(1, steps):
            z[step] = slow * z[step - 1] + 0.3 * rng.standard_normal(8)
        shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        trace = RoutingTrace.of(whole(shares, 10**6, 10**6).reshape(steps, 1, 1, 1, 8))
        assert low <= Learned.of(trace).drift[0] <= high


def test_too_short_a_trace_teaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 3 moments"):
        synthesized(RoutingTrace.of(np.ones((2, 1, 1, 1, 4))), tmp_path / "t.parquet")


def near(real: Recorded, made: Recorded, rel: float = 0.15) -> None:
    """Hold what a made trace is to be near in against the recorded one."""
    before, after = character(real), character(made)
    assert after.max_over_mean == pytest.approx(before.max_over_mean, rel=rel)
    assert after.gini == pytest.approx(before.gini, rel=rel)
    assert after.top_1_share == pytest.approx(before.top_1_share, rel=rel)
    assert after.autocorrelation == pytest.approx(before.autocorrelation, abs=0.15)
    assert after.alike_ranks == pytest.approx(before.alike_ranks, abs=0.05)


def test_a_trace_made_from_smartmoes_is_near_it(data: Path, tmp_path: Path) -> None:
    real = read_traces(sorted((data / "routing" / "smartmoe").glob("*.npz")), spread=100)
    synthesized(real, tmp_path / "t.parquet")
    near(real, open_trace(tmp_path / "t.parquet"))


def test_a_trace_made_from_our_own_is_near_it(tmp_path: Path) -> None:
    """Farther than SmartMoE's: its unevenness falls from 7 to 5 at first, which is taken for drift."""
    real = open_trace(OWN / "small_moe_unbalanced.parquet")
    synthesized(real, tmp_path / "t.parquet")
    near(real, open_trace(tmp_path / "t.parquet"), rel=0.25)


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
