"""More of a trace: its popularity, drift and correlations come back, at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.errors import InputError
from janus_sim.traces import RoutingTrace, open_trace
from janus_sim.traces.synthesize import Learned, synthesized, whole


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
