"""A recorded training trace (SmartMoE, USENIX ATC 2023), replayed under all policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from janus_sim import sweep

FILES = ("trace_mb0_iter0001-2491.npz", "trace_mb0_iter2501-5001.npz")


@pytest.mark.parametrize("policy", ["expert_centric", "data_centric", "pipelined"])
def test_imbalance_is_that_of_the_file(
    data: Path, policy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """First and last iteration, 24 layers each: max over mean of the rows, straight from the file."""
    monkeypatch.setenv("JANUS_SIM_DATA", str(data))
    changes = [f"policies=expert_centric,{policy}", "workload.routing.iterations=2"]
    table = sweep("real_routing", out=tmp_path / "out", changes=changes)
    assert (table["step_time_s"] > 0).all()
    layers = np.genfromtxt(
        tmp_path / "out" / "layers.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    chosen = layers[layers["scenario"] == policy]
    for step, (name, row) in enumerate([(FILES[0], 0), (FILES[1], -1)]):
        counts = np.load(data / "routing" / "smartmoe" / name, allow_pickle=False)["counts"][row].astype(
            float
        )
        rows = counts.sum(axis=0)  # (layer, expert)
        expected = rows.max(axis=1) / rows.mean(axis=1)
        found = chosen["expert_imbalance"][chosen["step"] == step]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
